//! Nodes on servers that fail: with deadlines like those of a gateway, and ways to ask that bear an outage.

use std::sync::Arc;
use std::time::Duration;

use session_gateway::clock::{Clock, SettableClock};
use session_gateway::model::event::{Event, FeedStart};
use session_gateway::model::id::SessionId;
use session_gateway::model::permission::Scope;
use session_gateway::model::request::Consistency;
use session_gateway::model::session::Ended;
use session_gateway::rules::entry::Lookup;
use session_gateway::store::Stores;
use session_gateway::store::redis::{
    Deadlines, FormatSettings, RedisSettings, RedisStore, RedisUrl,
};

use super::super::backend::{Backend, HOUR, SETTINGS, START, limit};
use super::super::listeners::all_heard_now;
use crate::support::redis::{RedisServer, eventually};

/// A node that has read nothing for so long has read all it wanted.
const CALM: std::time::Duration = std::time::Duration::from_millis(300);

/// Within which a failover is over and done with; generous, as the machine may be busy.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

pub(super) async fn open_at(url: &str, clock: Option<Arc<dyn Clock>>) -> Stores {
    let second = Duration::from_secs(1);
    let settings = RedisSettings {
        url: RedisUrl::parse(url).unwrap(),
        ca_file: None,
        deadlines: Deadlines {
            wait: second,
            command: second,
            connect: second,
        },
        wait_replicas: 0,
        prefix: "sgw".to_owned(),
        idle_after: SETTINGS.idle_after,
        tombstone_retention: SETTINGS.tombstone_retention,
        event_retention: SETTINGS.event_retention,
        touch_interval: SETTINGS.touch_interval,
        sweep_grace: 24 * HOUR,
        formats: FormatSettings::default(),
        test_clock: clock,
    };
    RedisStore::open(settings).await.unwrap()
}

pub(super) async fn open(url: &str) -> Stores {
    open_at(url, None).await
}

/// A node whose clock stands.
pub(super) async fn node(url: &str, clock: &Arc<SettableClock>) -> Backend {
    let own: Arc<dyn Clock> = Arc::<SettableClock>::clone(clock);
    Backend::over(open_at(url, Some(own)).await, Arc::clone(clock))
}

pub(super) fn clock() -> Arc<SettableClock> {
    Arc::new(SettableClock::at(START))
}

/// How a session stands; nothing while that cannot be told.
async fn seen(stores: &Stores, session_id: SessionId) -> Option<Lookup<()>> {
    let found = stores.sessions.find(session_id, &Scope::All).await;
    Some(match found.ok()? {
        Lookup::Live(_) => Lookup::Live(Box::new(())),
        Lookup::Ended(tombstone) => Lookup::Ended(tombstone),
        Lookup::Unknown => Lookup::Unknown,
    })
}

pub(super) async fn ended(stores: &Stores, session_id: SessionId) -> Option<Ended> {
    match seen(stores, session_id).await {
        Some(Lookup::Ended(tombstone)) => Some(tombstone.ended),
        Some(Lookup::Live(_) | Lookup::Unknown) | None => None,
    }
}

pub(super) async fn is_live(stores: &Stores, session_id: SessionId) -> bool {
    matches!(seen(stores, session_id).await, Some(Lookup::Live(_)))
}

pub(super) async fn feed(stores: &Stores, from: FeedStart) -> (Vec<Event>, FeedStart) {
    let mut events = Vec::new();
    let mut place = from;
    loop {
        let page = stores
            .events
            .events(&place, &[], limit(1_000), Consistency::Now)
            .await;
        let page = page.unwrap();
        events.extend(page.events);
        place = FeedStart::At(page.next.cursor());
        if page.caught_up {
            return (events, place);
        }
    }
}

/// Waits until a node that was the only one to be opened has nothing left to do of its own but heartbeats.
pub(super) async fn settled(stores: &Stores, server: &RedisServer) {
    all_heard_now(stores).await;
    // What happened before is read beside all else, stream by stream.
    eventually(DEADLINE, || async {
        let before = reads(server).await;
        tokio::time::sleep(CALM).await;
        reads(server).await == before
    })
    .await;
}

/// How many ranges of streams the server was asked for.
async fn reads(server: &RedisServer) -> usize {
    let calls = server.info("cmdstat_xrange").await;
    let calls = calls
        .strip_prefix("calls=")
        .and_then(|rest| rest.split_once(','));
    calls.map_or(0, |(calls, _)| calls.parse().unwrap())
}
