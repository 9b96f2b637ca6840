//! A login in Redis, and what a plan makes of the facts about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis;

use super::super::super::activity::Activity;
use super::super::super::client::Client;
use super::super::super::connections::tests::servers::RedisServer;
use super::super::super::connections::{Deadlines, RedisUrl, Slot};
use super::super::super::feed::Feed;
use super::super::super::fields::Fields;
use super::super::super::keys::slot_of_login;
use super::super::super::record;
use super::super::super::reply::{fields, ids};
use super::super::super::streams::PARTITIONS;
use super::super::super::{FormatSettings, RedisSettings};
use super::super::Sessions;
use super::facts::Facts;
use super::{login, session};
use crate::clock::{Clock, SettableClock};
use crate::model::Timestamp;
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::event::Fact;
use crate::model::id::{LoginId, SessionId};
use crate::model::request::OperationId;
use crate::model::token::CredentialHash;
use crate::rules::Kept;
use crate::rules::create::LoginSessions;
use crate::rules::entry::SessionEntry;
use crate::rules::operation::OperationRecord;
use crate::rules::plan::Plan;
use crate::rules::terms::Terms;
use crate::store::Partition;
use crate::store::node::recovery::RecoveryLog;
use crate::store::node::tail::{PartitionPage, Watermarks};
use crate::store::position::Position;

pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The kinds of operation ids.
pub(super) const CREATE: u8 = b'c';
pub(super) const WRITE: u8 = b'w';

/// An operation id is about one session: whoever repeats an operation draws the same id again.
fn operation_id(kind: u8, id: SessionId) -> OperationId {
    let mut operation_id = [kind; 32];
    operation_id[..16].copy_from_slice(id.as_bytes());
    OperationId(operation_id)
}

pub(super) struct World {
    pub(super) sessions: Sessions,
    pub(super) random: fastrand::Rng,
    pub(super) login_id: LoginId,
    pub(super) ids: Vec<SessionId>,
    /// Those that live, as it was looked at last.
    pub(super) live: Vec<SessionId>,
    /// Tokens that a session of the login has or had.
    pub(super) tokens: Vec<(SessionId, CredentialHash)>,
    client: Arc<Client>,
    feed: Feed,
    clock: Arc<SettableClock>,
    told: Position,
    counts: BTreeMap<&'static str, [usize; 2]>,
    _server: RedisServer,
}

fn settings(url: &str, clock: &Arc<SettableClock>) -> RedisSettings {
    RedisSettings {
        url: RedisUrl::parse(url).unwrap(),
        ca_file: None,
        deadlines: Deadlines {
            wait: Duration::from_secs(5),
            command: Duration::from_secs(5),
            connect: Duration::from_secs(5),
        },
        wait_replicas: 0,
        prefix: "sgw".to_owned(),
        idle_after: Duration::from_secs(20),
        tombstone_retention: Duration::from_secs(60),
        event_retention: Duration::from_secs(3_600),
        touch_interval: Duration::from_secs(10),
        sweep_grace: Duration::from_secs(60),
        formats: FormatSettings::default(),
        test_clock: Some(Arc::<SettableClock>::clone(clock)),
    }
}

impl World {
    pub(super) async fn open(seed: u64) -> Self {
        let server = RedisServer::start().await;
        let clock = Arc::new(SettableClock::at(START));
        let settings = settings(&server.url(), &clock);
        let client = Client::open(&settings, 0).await;
        let client = Arc::new(client.unwrap());
        let activity = Arc::new(Activity::new(Arc::clone(&client), settings.touch_interval));
        let log = Arc::new(RecoveryLog::new(PARTITIONS));
        Self {
            sessions: Sessions::new(&client, &activity, &log, &settings),
            random: fastrand::Rng::with_seed(seed),
            login_id: login(0),
            ids: Vec::new(),
            live: Vec::new(),
            tokens: Vec::new(),
            feed: Feed::new(
                Arc::clone(&client),
                Arc::new(Watermarks::new(PARTITIONS)),
                settings.event_retention,
            ),
            client,
            clock,
            told: Position::default(),
            counts: BTreeMap::new(),
            _server: server,
        }
    }

    /// Goes on with another login, of which nothing is known.
    pub(super) async fn begin(&mut self, number: usize) {
        self.login_id = login(number);
        self.ids = (0..5)
            .map(|number| session(&self.login_id, number, self))
            .collect();
        self.tokens.clear();
        let newest = self.read(Position::default(), 0).await.newest;
        self.told = newest.unwrap_or_default();
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(super) fn terms(&self) -> Terms {
        Terms {
            now: self.now(),
            idle_after: Duration::from_secs(20),
            tombstone_retention: Duration::from_secs(60),
        }
    }

    pub(super) fn slot(&self) -> Slot {
        slot_of_login(&self.login_id)
    }

    fn stream(&self) -> Partition {
        PARTITIONS.of_login(&self.login_id)
    }

    async fn read(&self, after: Position, most: usize) -> PartitionPage {
        self.feed.read(self.stream(), after, most).await.unwrap()
    }

    async fn hash(&self, key: Vec<u8>) -> Fields {
        let mut read = redis::cmd("HGETALL");
        read.arg(key);
        fields(self.client.command(self.slot(), &read).await.unwrap()).unwrap()
    }

    pub(super) fn maybe_operation_id(&mut self, kind: u8, id: SessionId) -> Option<OperationId> {
        self.random.bool().then_some(operation_id(kind, id))
    }

    async fn entry(&self, id: SessionId) -> SessionEntry {
        record::decode(id, self.hash(self.client.keys.record(id)).await)
    }

    /// What stands in Redis, without what counts no more.
    pub(super) async fn facts(&self) -> Facts {
        let mut facts = Facts {
            sessions: BTreeMap::new(),
            operations: BTreeMap::new(),
            ban: self.sessions.find_ban(&self.login_id).await.unwrap(),
        };
        for id in &self.ids {
            facts.sessions.insert(*id, self.entry(*id).await);
        }
        for id in &self.ids {
            for kind in [CREATE, WRITE] {
                let OperationId(operation_id) = operation_id(kind, *id);
                if let Some(kept) = self.operation(&operation_id).await {
                    facts.operations.insert(operation_id, kept);
                }
            }
        }
        facts.without_what_is_over(self.now())
    }

    async fn operation(&self, operation_id: &[u8; 32]) -> Option<Kept<OperationRecord>> {
        let [ids, ..] = &self.client.keys.indexes(self.slot())[..] else {
            unreachable!("a slot has indexes");
        };
        let key = [&ids[..ids.len() - 1], b"k:", operation_id].concat();
        let fields: BTreeMap<_, _> = self.hash(key).await.into_iter().collect();
        let bytes = |name: &str| fields.get(name.as_bytes());
        let text = |name: &str| std::str::from_utf8(bytes(name)?).ok();
        let session_id = SessionId::from_bytes(bytes("d")?.as_slice().try_into().unwrap());
        let value = match bytes("e") {
            Some(evicted) => OperationRecord::Created {
                session_id,
                evicted: evicted
                    .as_chunks()
                    .0
                    .iter()
                    .map(|id| SessionId::from_bytes(*id))
                    .collect(),
            },
            None => OperationRecord::Written {
                session_id,
                inserted: text("i")? == "1",
                made: AttributeName::parse(text("n")?)
                    .ok()
                    .zip(AttributeValue::parse(bytes("w")?).ok()),
            },
        };
        Some(Kept {
            until: Timestamp::from_millis(text("q")?.parse().unwrap()),
            value,
        })
    }

    /// The sessions of the login, as its index has them.
    pub(super) async fn of_login(&self, facts: &Facts) -> Vec<SessionEntry> {
        let mut read = redis::cmd("ZRANGE");
        read.arg(self.client.keys.login(&self.login_id))
            .arg(0)
            .arg(-1);
        let ids = ids(self.client.command(self.slot(), &read).await.unwrap()).unwrap();
        ids.into_iter().map(|id| facts.entry(id)).collect()
    }

    /// The same as a create sees them: no more than a limit looks at, without the session that it opens.
    pub(super) async fn others_of_login(&self, facts: &Facts, new: SessionId) -> LoginSessions {
        let mut others = self.of_login(facts).await;
        others.retain(|entry| entry.session_id() != Some(new));
        let more = others.len().saturating_sub(LoginSessions::JUDGED);
        others.truncate(LoginSessions::JUDGED);
        let oldest = others;
        LoginSessions { oldest, more }
    }

    /// What was told since this was asked last.
    pub(super) async fn events(&mut self) -> Vec<Fact> {
        let source = self.read(self.told, 1_000).await;
        self.told = source.end();
        let facts = source
            .entries
            .into_iter()
            .map(|(_, told)| told.unwrap().fact);
        facts.collect()
    }

    /// Compares what an operation did with what was planned over the facts before it.
    pub(super) async fn compare(&mut self, name: &'static str, before: Facts, plan: Plan) {
        let planned = before.clone().after(&plan, self.now());
        let found = self.facts().await;
        let told = self.events().await;
        assert_eq!(
            found, planned,
            "{name} left something else; it was over {before:#?}"
        );
        assert_eq!(
            told, plan.events,
            "{name} told something else; it was over {before:#?}"
        );
        let [made, written] = self.counts.entry(name).or_default();
        *made += 1;
        *written += usize::from(!plan.writes.is_empty());
        self.indexes_follow(&found).await;
    }

    async fn indexes_follow(&self, facts: &Facts) {
        let live = |entry: &&SessionEntry| matches!(entry, SessionEntry::Record(_));
        let indexed = self.of_login(facts).await;
        let indexed: Vec<_> = indexed.iter().filter(live).collect();
        let stored: Vec<_> = facts.sessions.values().filter(live).collect();
        assert_eq!(indexed, stored);
    }

    /// Of each operation how many were made, and how many of them wrote.
    pub(super) fn counts(&self) -> &BTreeMap<&'static str, [usize; 2]> {
        &self.counts
    }
}
