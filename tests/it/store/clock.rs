//! The wall clock, set while the embedded store runs and between two runs, and what a clock that was wrong leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use session_gateway::clock::{SteadyClock, TimeSource};
use session_gateway::config::Config;
use session_gateway::gateway::{AdminCredential, Gateway};
use session_gateway::http::app::app;
use session_gateway::http::state::AppState;
use session_gateway::model::Timestamp;
use session_gateway::model::event::{EventType, FeedStart};
use session_gateway::model::permission::Scope;
use session_gateway::model::request::Consistency;
use session_gateway::model::session::EndReason;
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::embedded::EmbeddedStore;
use session_gateway::store::{FeedPage, OpError, Stores};
use tempfile::TempDir;

use super::backend::{HOUR, IDLE, MINUTE, SECOND, SETTINGS, START, draft, limit, refusal};
use super::disk::Disk;
use crate::support::{ADMIN_SECRET, Client};

const YEAR: i64 = 365 * 24 * 3_600 * 1_000;

/// More events than one step of the sweep looks at.
const MANY: usize = 1_200;

/// A machine whose clocks the test moves.
#[derive(Debug, Clone)]
struct Machine(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    wall_clock: AtomicI64,
    elapsed: AtomicU64,
}

impl Machine {
    fn new() -> Self {
        Self(Arc::new(Hands {
            wall_clock: AtomicI64::new(START.millis()),
            elapsed: AtomicU64::new(12_345),
        }))
    }

    fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.0.elapsed.fetch_add(millis, Ordering::SeqCst);
        self.set_by(i64::try_from(millis).unwrap());
    }

    /// Somebody sets the wall clock.
    fn set_by(&self, millis: i64) {
        self.0.wall_clock.fetch_add(millis, Ordering::SeqCst);
    }

    fn clock(&self) -> Arc<SteadyClock<Self>> {
        Arc::new(SteadyClock::new(self.clone()))
    }
}

impl TimeSource for Machine {
    fn wall_clock(&self) -> Timestamp {
        Timestamp::from_millis(self.0.wall_clock.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.elapsed.load(Ordering::SeqCst))
    }
}

async fn reason(
    stores: &Stores,
    session_id: session_gateway::model::id::SessionId,
) -> Option<EndReason> {
    let found = stores.sessions.find(session_id, &Scope::All).await;
    match found.unwrap() {
        Lookup::Live(_) => None,
        Lookup::Ended(tombstone) => Some(tombstone.ended.reason),
        Lookup::Unknown => panic!("it is forgotten"),
    }
}

#[tokio::test]
async fn who_sets_the_wall_clock_neither_ends_sessions_nor_lets_them_live_longer() {
    for step in [-YEAR, -3_600_000, 3_600_000, YEAR] {
        let machine = Machine::new();
        let stores = EmbeddedStore::in_memory(SETTINGS, machine.clock()).unwrap();
        let new = draft("alice");
        stores.sessions.create(new.clone()).await.unwrap();
        machine.set_by(step);
        machine.pass(IDLE - SECOND);
        assert_eq!(reason(&stores, new.session_id).await, None, "{step}");
        machine.pass(SECOND);
        let ended = reason(&stores, new.session_id).await;
        assert_eq!(ended, Some(EndReason::IdleTimeout), "{step}");
    }
}

#[tokio::test]
async fn over_a_restart_time_is_that_of_the_wall_clock() {
    let (machine, directory) = (Machine::new(), TempDir::new().unwrap());
    let new = draft("alice");
    {
        let stores = EmbeddedStore::open(directory.path(), SETTINGS, machine.clock()).unwrap();
        stores.sessions.create(new.clone()).await.unwrap();
    }
    machine.set_by(i64::try_from(HOUR.as_millis()).unwrap());
    let stores = EmbeddedStore::open(directory.path(), SETTINGS, machine.clock()).unwrap();
    let ended = reason(&stores, new.session_id).await;
    assert_eq!(ended, Some(EndReason::IdleTimeout));
}

#[tokio::test]
async fn a_step_of_the_wall_clock_is_shown_until_it_is_set_right() {
    let machine = Machine::new();
    let stores = EmbeddedStore::in_memory(SETTINGS, machine.clock()).unwrap();
    let config = Config::from_variables([("SGW_STORE", "memory:")]).unwrap();
    let secret = CredentialHash::of(ADMIN_SECRET.as_bytes());
    let gateway = Gateway::new(stores, config.lifetimes, AdminCredential(Some(secret)));
    let nobody = Client::in_process(app(AppState::new(gateway)));
    let client = nobody.as_service("admin", ADMIN_SECRET);
    let ready = async || client.get("/readyz").await.value(200);
    machine.pass(HOUR);
    assert_eq!(ready().await, json!({"status": "ready"}));
    for (step, told) in [
        (3_600_000, "3600 s ahead of"),
        (-7_200_000, "3600 s behind"),
    ] {
        machine.set_by(step);
        let shown = ready().await;
        assert_eq!(shown["warnings"][0]["code"], "clock_stepped");
        let detail = shown["warnings"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(told), "{detail}");
    }
    machine.set_by(3_600_000);
    assert_eq!(ready().await, json!({"status": "ready"}));
}

async fn read(stores: &Stores, from: &FeedStart) -> Result<FeedPage, OpError> {
    stores
        .events
        .events(from, &[], limit(1_000), Consistency::Now)
        .await
}

/// Opens sessions while the clock is a year ahead, and the store again when it is right.
async fn after_a_wrong_clock(machine: &Machine, events: usize) -> Stores {
    let disk = Disk::default();
    machine.set_by(YEAR);
    let wrong = EmbeddedStore::on_backend(disk.clone(), SETTINGS, machine.clock()).unwrap();
    let opened = (0..events).map(|_| wrong.sessions.create(draft("alice")));
    for created in futures_util::future::join_all(opened).await {
        created.unwrap();
    }
    drop(wrong);
    machine.set_by(-YEAR);
    EmbeddedStore::on_backend(disk, SETTINGS, machine.clock()).unwrap()
}

#[tokio::test]
async fn events_of_the_future_are_passed_over_by_trimming() {
    for events in [1, MANY] {
        let machine = Machine::new();
        let stores = after_a_wrong_clock(&machine, events).await;
        let first = FeedStart::At(
            read(&stores, &FeedStart::Start)
                .await
                .unwrap()
                .start
                .cursor(),
        );
        let new = draft("bob");
        let created = stores.sessions.create(new).await.unwrap();
        assert_eq!(created.session.created_at, START);
        machine.pass(SETTINGS.event_retention - MINUTE);
        while stores.sessions.sweep().await.unwrap() {}
        assert!(read(&stores, &first).await.is_ok(), "{events}");
        machine.pass(2 * MINUTE);
        while stores.sessions.sweep().await.unwrap() {}
        let gone = refusal(read(&stores, &first).await);
        assert_eq!(gone, Refusal::CursorExpired, "{events}");
        let left = read(&stores, &FeedStart::Start).await.unwrap().events;
        let left: Vec<_> = left
            .iter()
            .map(|event| event.fact.change.event_type())
            .collect();
        assert_eq!(left, [EventType::SessionEnded], "{events}");
    }
}
