//! Random histories: the store does what the plain reference does, and what it stores agrees with itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use session_gateway::clock::SettableClock;
use session_gateway::model::Timestamp;
use session_gateway::model::event::{Change, Event, Fact};
use session_gateway::model::filter::SessionFilter;
use session_gateway::model::id::SessionId;
use session_gateway::model::permission::Scope;
use session_gateway::model::record::SessionChange;
use session_gateway::model::request::Touch;
use session_gateway::model::session::{EndReason, Session, SessionState};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::{EndAll, EndOutcome};
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::embedded::{EmbeddedSettings, EmbeddedStore};
use session_gateway::store::{OpError, Stores};

mod logins;

use crate::store::audit;
use crate::store::backend::{
    self, Backend, START, access, attribute, device, draft, draft_with_token, limit, login_id,
    target, value,
};
use crate::store::disk::Disk;
use crate::store::endings::Endings;
use crate::store::history::{Draft, LOGINS, NAMES, Step, histories};
use crate::store::redis::{Keyspace, shared};
use crate::store::reference::{Known, No, Reference, Told, View};
use crate::support::redis::Topology;

/// As elsewhere, but the feed keeps whole histories.
const SETTINGS: EmbeddedSettings = EmbeddedSettings {
    event_retention: Duration::from_secs(10 * 365 * 24 * 3_600),
    ..backend::SETTINGS
};

fn run(histories_to_run: u32, new_place: impl Fn() -> Place) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let config = Config {
        cases: histories_to_run,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&histories(), |history| {
        runtime.block_on(async {
            let mut pair = Pair::new(new_place()).await;
            pair.live_through(history).await;
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn run_on(histories_to_run: u32, topology: impl Future<Output = Arc<Topology>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let topology = runtime.unwrap().block_on(topology);
    run(histories_to_run, || {
        Place::Redis(Keyspace::on(Arc::clone(&topology)))
    });
}

#[test]
fn a_thousand_random_histories_in_memory_go_as_the_reference_says() {
    run(1_000, || Place::Memory(Disk::default()));
}

#[test]
fn random_histories_in_a_file_go_as_the_reference_says() {
    run(40, || Place::File(tempfile::TempDir::new().unwrap()));
}

#[test]
fn random_histories_in_redis_go_as_the_reference_says() {
    run_on(150, shared::standalone());
}

#[test]
fn random_histories_under_sentinel_go_as_the_reference_says() {
    run_on(60, shared::sentinel());
}

#[test]
fn random_histories_in_a_cluster_go_as_the_reference_says() {
    run_on(60, shared::cluster());
}

/// Where the store of a history lives, through all its openings.
enum Place {
    Memory(Disk),
    File(tempfile::TempDir),
    Redis(Keyspace),
}

impl Place {
    async fn open(&self, clock: &Arc<SettableClock>) -> Stores {
        let clock = Arc::<SettableClock>::clone(clock);
        let opened = match self {
            Self::Memory(disk) => EmbeddedStore::on_backend(disk.clone(), SETTINGS, clock),
            Self::File(dir) => EmbeddedStore::open(dir.path(), SETTINGS, clock),
            Self::Redis(keyspace) => {
                return keyspace.open(SETTINGS.event_retention, Some(clock)).await;
            }
        };
        opened.unwrap()
    }

    async fn audit(&self) {
        let builder = redb::Database::builder();
        let db = match self {
            Self::Memory(disk) => builder.create_with_backend(disk.clone()),
            Self::File(dir) => builder.open(dir.path().join("sessions.redb")),
            Self::Redis(keyspace) => return keyspace.clone().close().await,
        };
        audit::check(&db.unwrap());
    }
}

struct Pair {
    place: Place,
    backend: Option<Backend>,
    reference: Reference,
    /// How many were asked for.
    rotations: usize,
}

impl Pair {
    async fn new(place: Place) -> Self {
        let clock = Arc::new(SettableClock::at(START));
        let backend = Backend::over(place.open(&clock).await, clock);
        Self {
            place,
            backend: Some(backend),
            reference: Reference::default(),
            rotations: 0,
        }
    }

    fn backend(&self) -> &Backend {
        self.backend.as_ref().unwrap()
    }

    async fn live_through(&mut self, history: Vec<(Duration, Step)>) {
        for (wait, step) in history {
            self.backend().advance(wait);
            let now = self.backend().now();
            self.reference.expire(now);
            self.take(step, now).await;
        }
        self.compare_stories().await;
        self.backend = None;
        self.place.audit().await;
    }

    async fn take(&mut self, step: Step, now: Timestamp) {
        match step {
            Step::Create(draft) => self.create(draft, now).await,
            Step::EndAll(login, except, device) => self.end_all(login, except, device, now).await,
            Step::List(login, items) => {
                let login = login.map(|login| LOGINS[login]);
                self.list(login, items, now).await;
            }
            Step::Count => {
                let live = self.reference.listed(None).len() as u64;
                assert_eq!(self.backend().count().await, live);
            }
            Step::Sum(login) => self.sum(LOGINS[login], now).await,
            Step::Ban(login, seconds) => self.ban(LOGINS[login], seconds, now).await,
            Step::Unban(login) => self.unban(LOGINS[login], now).await,
            Step::FindBan(login) => self.find_ban(LOGINS[login], now).await,
            Step::Sweep => {
                self.backend().stores.sessions.sweep().await.unwrap();
            }
            Step::Reopen => self.reopen().await,
            Step::Find(who)
            | Step::Verify(who, ..)
            | Step::Put(who, ..)
            | Step::PutText(who, _)
            | Step::Remove(who, _)
            | Step::Increment(who, ..)
            | Step::Refresh(who, _)
            | Step::Heartbeat(who)
            | Step::End(who)
            | Step::Revoke(who, _)
            | Step::Rotate(who, _) => {
                let known = &self.reference.sessions;
                if !known.is_empty() {
                    let new = who.get(known).new.clone();
                    self.take_with(step, &new, now).await;
                }
            }
        }
    }

    async fn take_with(&mut self, step: Step, new: &NewSession, now: Timestamp) {
        let session_id = new.session_id;
        match step {
            Step::Find(_) => self.find(session_id, now).await,
            Step::Verify(_, ago, touch) => self.verify(new, ago, touch, now).await,
            Step::Rotate(_, ago) => self.rotate(new, ago, now).await,
            Step::End(_) => self.end(session_id, now).await,
            Step::Revoke(_, ago) => self.revoke(new, ago, now).await,
            Step::Refresh(_, ttl) => {
                let ttl = ttl.map(Duration::from_secs);
                let sessions = &self.backend().stores.sessions;
                let done = sessions.refresh(target(session_id), ttl).await;
                let expected = self.reference.live(session_id, now);
                compare(
                    done,
                    expected.map(|known| {
                        known.refresh(now, ttl);
                        known.view(now)
                    }),
                );
            }
            Step::Heartbeat(_) => {
                let sessions = &self.backend().stores.sessions;
                let done = sessions.heartbeat(target(session_id), None).await;
                let expected = self.reference.live(session_id, now);
                compare(
                    done,
                    expected.map(|known| {
                        known.heartbeat(now);
                        known.view(now)
                    }),
                );
            }
            write => self.change(write, session_id, now).await,
        }
    }

    async fn change(&mut self, write: Step, session_id: SessionId, now: Timestamp) {
        let change = match &write {
            Step::Put(_, name, number) => {
                SessionChange::PutAttribute(attribute(NAMES[*name]), value(&number.to_string()))
            }
            Step::PutText(_, name) => {
                SessionChange::PutAttribute(attribute(NAMES[*name]), value("\"text\""))
            }
            Step::Remove(_, name) => SessionChange::RemoveAttribute(attribute(NAMES[*name])),
            Step::Increment(_, name, by) => {
                SessionChange::IncrementAttribute(attribute(NAMES[*name]), *by)
            }
            other => panic!("{other:?} writes no attribute"),
        };
        let sessions = &self.backend().stores.sessions;
        let done = sessions.change(target(session_id), change).await;
        let expected = self.reference.live(session_id, now).and_then(|known| {
            match write {
                Step::Put(_, name, number) => known.put(now, NAMES[name], &number.to_string()),
                Step::PutText(_, name) => known.put(now, NAMES[name], "\"text\""),
                Step::Remove(_, name) => known.remove(now, NAMES[name])?,
                Step::Increment(_, name, by) => known.increment(now, NAMES[name], by)?,
                other => panic!("{other:?} writes no attribute"),
            }
            Ok(known.view(now))
        });
        compare(done.map(|changed| changed.session), expected);
    }

    async fn create(&mut self, wanted: Draft, now: Timestamp) {
        let login = LOGINS[wanted.login];
        let plain = match wanted.token {
            Some(token) => draft_with_token(login, &format!("a token from elsewhere {token}")),
            None => draft(login),
        };
        let new = NewSession {
            device: wanted.device.map(device),
            limit: wanted.limit,
            idle_timeout: wanted.idle,
            max_age: wanted.max_age,
            state: if wanted.connecting {
                SessionState::Connecting
            } else {
                SessionState::Active
            },
            ..plain
        };
        let done = self.backend().stores.sessions.create(new.clone()).await;
        let expected = self.reference.create(new, now);
        assert_eq!(done.map(|created| created.evicted).map_err(no), expected);
    }

    async fn find(&mut self, session_id: SessionId, now: Timestamp) {
        let found = view(self.backend().find(session_id).await);
        let known = self.reference.sessions.iter();
        let mut known = known.filter(|known| known.new.session_id == session_id);
        assert_eq!(found, known.next().unwrap().view(now));
    }

    async fn verify(&mut self, new: &NewSession, ago: usize, touch: bool, now: Timestamp) {
        let how = if touch { Touch::Yes } else { Touch::No };
        let token = self.reference.by_token(new).unwrap().token(ago);
        let sessions = &self.backend().stores.sessions;
        let found = sessions.find_by_token(&token, how).await.unwrap();
        if let Lookup::Live(verified) = &found {
            assert!(verified.stored_until <= verified.life.expires_at);
            assert!(verified.stored_until > now);
        }
        let known = self.reference.by_token(new).unwrap();
        let good = known.token_status(token.hash, now).is_good();
        if good && matches!(known.view(now), View::Live { .. }) {
            known.unused &= known.token(0).hash != token.hash;
            if touch {
                known.touch(now);
            }
        }
        let expected = if good { known.view(now) } else { View::Unknown };
        let found = match found {
            Lookup::Live(verified) => Lookup::Live(Box::new(verified.into_session())),
            Lookup::Ended(tombstone) => Lookup::Ended(tombstone),
            Lookup::Unknown => Lookup::Unknown,
        };
        assert_eq!(view(found), expected);
    }

    async fn end(&mut self, session_id: SessionId, now: Timestamp) {
        let sessions = &self.backend().stores.sessions;
        let done = sessions.end(target(session_id), EndReason::Logout).await;
        let done = done.map(|ended| matches!(ended, EndOutcome::Now(_)));
        assert_eq!(done.map_err(no), self.reference.end(session_id, now));
    }

    async fn revoke(&mut self, new: &NewSession, ago: usize, now: Timestamp) {
        let known = self.reference.by_token(new).unwrap();
        let (session_id, token) = (known.new.session_id, known.token(ago));
        let good = known.token_status(token.hash, now).is_good();
        let sessions = &self.backend().stores.sessions;
        sessions.revoke(&token, &access()).await.unwrap();
        if good {
            self.reference.end(session_id, now).ok();
        }
        self.find(session_id, now).await;
    }

    async fn end_all(
        &mut self,
        login: usize,
        except: Option<Index>,
        kind: Option<&'static str>,
        now: Timestamp,
    ) {
        let known = &self.reference.sessions;
        let except = except.filter(|_| !known.is_empty());
        let which = EndAll {
            login_id: login_id(LOGINS[login]),
            except: except.map(|who| who.get(known).new.session_id),
            device: kind.map(device),
            reason: EndReason::KickedOut,
            detail: None,
        };
        let sessions = &self.backend().stores.sessions;
        let ended = sessions.end_login(which.clone(), &access()).await.unwrap();
        let ended: BTreeSet<_> = ended.into_iter().collect();
        assert_eq!(ended, self.reference.end_all(&which, now));
    }

    async fn list(&self, login: Option<&str>, items: usize, now: Timestamp) {
        let filter = SessionFilter {
            login_id: login.map(login_id),
            ..SessionFilter::default()
        };
        let sessions = &self.backend().stores.sessions;
        let mut listed = Vec::new();
        let mut cursor = None;
        loop {
            let page = sessions
                .list(&filter, &Scope::All, limit(items), cursor.as_ref())
                .await;
            let page = page.unwrap();
            listed.extend(page.items.iter().map(shown));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let expected = self
            .reference
            .listed(login)
            .into_iter()
            .map(|known| known.view(now));
        assert_eq!(listed, expected.collect::<Vec<_>>());
    }

    async fn sum(&self, login: &str, now: Timestamp) {
        let sessions = &self.backend().stores.sessions;
        let summary = sessions.login(&login_id(login)).await.unwrap();
        let reference = &self.reference;
        assert_eq!(
            summary.session_count,
            reference.listed(Some(login)).len() as u64
        );
        assert_eq!(summary.devices, reference.devices(login));
        assert_eq!(summary.last_active_at, reference.last_active_at(login));
        let no_end = Timestamp::parse("9999-12-31T23:59:59.999Z").unwrap();
        let until = reference.ban_of(login, now);
        assert_eq!(
            summary.banned_until,
            until.map(|until| until.0.unwrap_or(no_end))
        );
    }

    /// The store in Redis has nothing of its own to open again: it would only lose sight of uses that wait.
    async fn reopen(&mut self) {
        if matches!(self.place, Place::Redis(_)) {
            return;
        }
        let Some(Backend { stores, clock, .. }) = self.backend.take() else {
            return;
        };
        drop(stores);
        self.backend = Some(Backend::over(self.place.open(&clock).await, clock));
    }

    /// Once everything that is over is swept, the feed tells of each session what happened to it.
    async fn compare_stories(&self) {
        self.backend().sweep().await;
        let mut stories: BTreeMap<SessionId, Vec<Told>> = BTreeMap::new();
        let mut logins: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for Event { fact, .. } in self.backend().feed().await {
            let story = match (fact.session_id, &fact.login_id) {
                (Some(session_id), _) => stories.entry(session_id).or_default(),
                (None, login_id) => {
                    let login = login_id.as_ref().unwrap().as_str();
                    logins.entry(login.to_owned()).or_default()
                }
            };
            story.push(told(fact));
        }
        assert_eq!(logins, self.reference.stories);
        let expected = self
            .reference
            .sessions
            .iter()
            .map(|Known { new, story, .. }| (new.session_id, story.clone()));
        assert_eq!(stories, expected.collect());
    }
}

fn told(fact: Fact) -> Told {
    match fact.change {
        Change::SessionCreated { .. } => Told::Created,
        Change::SessionChanged {
            version,
            attributes,
            fields,
            ..
        } => {
            let attributes = attributes.iter().map(|name| name.as_str().to_owned());
            Told::Changed(version, attributes.chain(fields).collect())
        }
        Change::SessionEnded { reason, .. } => Told::Ended(reason, fact.at),
        Change::SessionRotated { .. } => Told::Rotated,
        Change::LoginBanned { until, .. } => Told::Banned(until),
        Change::LoginUnbanned { .. } => Told::Unbanned,
        Change::ServiceChanged { .. } => panic!("no service is changed here"),
    }
}

#[track_caller]
fn compare(done: Result<Session, OpError>, expected: Result<View, No>) {
    match (done, expected) {
        (Ok(session), Ok(expected)) => assert_eq!(shown(&session), expected),
        (Err(error), Err(expected)) => assert_eq!(no(error), expected),
        (done, expected) => panic!("{done:?}, where {expected:?} is expected"),
    }
}

fn no(error: OpError) -> No {
    match error {
        OpError::Refused(Refusal::SessionEnded(_)) => No::Ended,
        OpError::Refused(Refusal::SessionUnknown) => No::Unknown,
        OpError::Refused(Refusal::Unchangeable(_)) => No::Unchangeable,
        OpError::Refused(Refusal::TokenInUse) => No::TokenInUse,
        OpError::Refused(Refusal::LimitReached) => No::LimitReached,
        OpError::Refused(Refusal::TokenUnknown) => No::TokenUnknown,
        OpError::Refused(Refusal::LoginBanned) => No::LoginBanned,
        OpError::Refused(Refusal::BanUnknown) => No::NotBanned,
        other => panic!("{other:?}"),
    }
}

fn view(found: Lookup<Session>) -> View {
    match found {
        Lookup::Live(session) => shown(&session),
        Lookup::Ended(tombstone) => View::Ended(tombstone.ended.reason, tombstone.ended.at),
        Lookup::Unknown => View::Unknown,
    }
}

fn shown(session: &Session) -> View {
    let attributes = session.attributes.iter();
    let attributes = attributes.map(|(name, json)| (name.to_string(), json.as_json().to_owned()));
    View::Live {
        version: session.version,
        active: session.state != SessionState::Connecting,
        attributes: attributes.collect(),
        last_active_at: session.last_active_at,
        expires_at: session.expires_at,
    }
}
