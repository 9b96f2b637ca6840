//! What a store tells of itself: how many sessions live, and what operations of this node did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_gateway::model::Timestamp;
use session_gateway::model::event::{Change, Event};
use session_gateway::model::filter::SessionFilter;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::owner::Owner;
use session_gateway::model::page::Cursor;
use session_gateway::model::permission::Scope;
use session_gateway::model::request::{Consistency, Touch};
use session_gateway::model::session::{EndDetail, EndReason, SessionState};
use session_gateway::rules::ban::NewBan;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::entry::Lookup;
use session_gateway::store::node::cache::CacheSettings;
use session_gateway::store::{Listener, Origin, Partition, SessionCounts, Stores};
use session_gateway::telemetry::traces::Traces;

use super::backend::{
    Backend, HOUR, IDLE, MAX_AGE, MINUTE, SECOND, SETTINGS, access, draft, limit, login_id,
    presented, service, target,
};
use super::endings::Endings;
use super::listeners::all_heard_now;

contract! {
    the_session_counts_tell_what_lives_and_what_it_shows,
    counting_sessions_goes_through_many_sessions,
    each_act_is_told_once_whatever_operation_it_was,
    what_was_ended_before_is_no_outcome,
    uses_wait_until_they_are_written,
    what_each_registration_of_a_service_has_is_counted,
}

async fn session_counts(b: &Backend) -> SessionCounts {
    b.stores.stats.session_counts().await.unwrap()
}

async fn the_session_counts_tell_what_lives_and_what_it_shows(b: &Backend) {
    assert_eq!(session_counts(b).await, SessionCounts::default());
    let connecting = NewSession {
        state: SessionState::Connecting,
        ..draft("dora")
    };
    b.create(connecting).await;
    let [first, second] = [b.open("ana").await, b.open("ana").await];
    let short = NewSession {
        idle_timeout: MINUTE,
        ..draft("bob")
    };
    b.create(short).await;
    let fresh = SessionCounts {
        live: 4,
        active: 3,
        idle: 0,
    };
    assert_eq!(session_counts(b).await, fresh);
    b.advance(SETTINGS.idle_after);
    b.put(first.session_id, "seen", "true").await;
    let later = SessionCounts {
        live: 3,
        active: 1,
        idle: 1,
    };
    assert_eq!(
        session_counts(b).await,
        later,
        "expired sessions are not swept yet"
    );
    b.end(second.session_id).await;
    b.sweep().await;
    let last = SessionCounts {
        live: 2,
        active: 1,
        idle: 0,
    };
    assert_eq!(session_counts(b).await, last);
    assert_eq!(b.count().await, last.live);
}

/// More of one login, and so of one shard, than any step looks at.
async fn counting_sessions_goes_through_many_sessions(b: &Backend) {
    b.create_all((0..450).map(|_| draft("ana"))).await;
    b.create_all((0..50).map(|number| draft(&format!("login {number}"))))
        .await;
    let all = SessionCounts {
        live: 500,
        active: 500,
        idle: 0,
    };
    assert_eq!(session_counts(b).await, all);
}

/// Something that an operation of a node did to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Opened,
    Ended { reason: EndReason, lived: Duration },
}

/// Keeps what operations of a node did.
#[derive(Debug)]
pub(super) struct Diary {
    stores: Stores,
    outcomes: Arc<Outcomes>,
}

#[derive(Debug, Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Listener for Outcomes {
    fn event(&self, event: &Event, origin: Origin) {
        let outcome = match event.fact.change {
            _ if !origin.own => return,
            Change::SessionCreated { .. } => Outcome::Opened,
            Change::SessionEnded { reason, .. } => ended(reason, origin.lived.unwrap()),
            _ => return,
        };
        self.0.lock().unwrap().push(outcome);
    }

    fn gap(&self, _partition: Partition) {}
}

impl Diary {
    /// From when all that happened before is told.
    pub(super) async fn of(stores: &Stores) -> Self {
        all_heard_now(stores).await;
        let outcomes = Arc::<Outcomes>::default();
        stores.events.listen(Arc::<Outcomes>::clone(&outcomes));
        Self {
            stores: stores.clone(),
            outcomes,
        }
    }

    /// What was done since it was asked last.
    pub(super) async fn outcomes(&self) -> Vec<Outcome> {
        all_heard_now(&self.stores).await;
        std::mem::take(&mut self.outcomes.0.lock().unwrap())
    }
}

fn ended(reason: EndReason, lived: Duration) -> Outcome {
    Outcome::Ended { reason, lived }
}

async fn each_act_is_told_once_whatever_operation_it_was(b: &Backend) {
    let diary = Diary::of(&b.stores).await;
    let first = b.open("ana").await;
    assert_eq!(diary.outcomes().await, [Outcome::Opened]);
    b.advance(SECOND);
    b.put(first.session_id, "color", "1").await;
    b.end(first.session_id).await;
    assert_eq!(diary.outcomes().await, [ended(EndReason::Logout, SECOND)]);

    let single = |login: &str| NewSession {
        limit: Some(SessionLimit {
            max: 1,
            per: LimitPer::Login,
            overflow: Overflow::EvictOldest,
        }),
        ..draft(login)
    };
    b.create(single("bob")).await;
    b.advance(MINUTE);
    b.create(single("bob")).await;
    let evicting = [
        Outcome::Opened,
        ended(EndReason::Replaced, MINUTE),
        Outcome::Opened,
    ];
    let mut outcomes = diary.outcomes().await;
    outcomes.sort_by_key(|outcome| *outcome != Outcome::Opened);
    let mut wanted = evicting.to_vec();
    wanted.sort_by_key(|outcome| *outcome != Outcome::Opened);
    assert_eq!(outcomes, wanted);

    let ban = NewBan {
        login_id: login_id("bob"),
        until: None,
        reason: EndDetail::parse("spam").unwrap(),
    };
    b.stores.sessions.ban(ban, &service("web")).await.unwrap();
    assert_eq!(
        diary.outcomes().await,
        [ended(EndReason::Banned, Duration::ZERO)]
    );

    b.create_all((0..3).map(|_| draft("cleo"))).await;
    let all = EndAll {
        login_id: login_id("cleo"),
        except: None,
        device: None,
        reason: EndReason::Admin,
        detail: None,
    };
    let gone = b.stores.sessions.end_login(all, &access()).await.unwrap();
    assert_eq!(gone.len(), 3);
    let mut wanted = vec![Outcome::Opened; 3];
    wanted.extend([ended(EndReason::Admin, Duration::ZERO); 3]);
    assert_eq!(diary.outcomes().await, wanted);

    // One is met by an operation, the other by the sweep.
    let [met, _swept] = [b.open("dora").await, b.open("eve").await];
    b.advance(IDLE + SECOND);
    let refresh = b.stores.sessions.refresh(target(met.session_id), None);
    assert!(refresh.await.is_err());
    b.sweep().await;
    let expired = ended(EndReason::IdleTimeout, IDLE);
    let mut outcomes = diary.outcomes().await;
    outcomes.sort_by_key(|outcome| *outcome != Outcome::Opened);
    assert_eq!(
        outcomes,
        [Outcome::Opened, Outcome::Opened, expired, expired]
    );
}

async fn what_was_ended_before_is_no_outcome(b: &Backend) {
    let session = b.open("ana").await;
    b.end(session.session_id).await;
    let diary = Diary::of(&b.stores).await;
    b.end(session.session_id).await;
    let refresh = b.stores.sessions.refresh(target(session.session_id), None);
    assert!(refresh.await.is_err());
    b.advance(2 * MAX_AGE);
    b.sweep().await;
    b.feed().await;
    let (all, sessions) = (SessionFilter::default(), &b.stores.sessions);
    let listed = sessions.list(&all, &Scope::All, limit(10), None);
    listed.await.unwrap();
    assert_eq!(diary.outcomes().await, []);
}

async fn uses_wait_until_they_are_written(b: &Backend) {
    let new = draft("ana");
    b.create(new.clone()).await;
    b.advance(MINUTE);
    let waiting = || b.stores.stats.stats().uses_waiting;
    assert_eq!(waiting(), 0);
    b.verified(&presented(&new)).await;
    b.verified(&presented(&new)).await;
    assert_eq!(waiting(), 1);
    b.advance(HOUR / 4);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while waiting() > 0 {
        assert!(std::time::Instant::now() < deadline, "never written");
        b.sweep().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_copies_answer_is_told_and_is_no_operation() {
    let b = Backend::in_memory();
    let settings = CacheSettings {
        max_staleness: SECOND,
        max_bytes: 1 << 20,
    };
    let stores = b
        .stores
        .clone()
        .observed(Traces::default())
        .cached(settings);
    let new = draft("ana");
    stores.sessions.create(new.clone()).await.unwrap();
    for _ in 0..5 {
        let token = presented(&new);
        let found = stores.find_by_token(&token, Touch::No, Consistency::Bounded);
        assert!(matches!(found.await.unwrap(), Lookup::Live(_)));
    }
    let cache = stores.stats.stats().cache.unwrap();
    assert_eq!((cache.sessions.hits, cache.sessions.misses), (4, 1));
    assert_eq!(cache.sessions.entries, 1);
    assert!(cache.bytes > 0 && cache.bytes < cache.max_bytes);
    assert_eq!(
        operations(&stores),
        [("create", "done", 1), ("find_by_token", "done", 1)]
    );
}

fn operations(stores: &Stores) -> Vec<(&'static str, &'static str, u64)> {
    let operations = stores.stats.stats().operations.into_iter();
    operations
        .map(|timed| {
            let count: u64 = timed.durations.ranges.iter().sum();
            (timed.operation, timed.outcome, count)
        })
        .collect()
}

#[tokio::test]
async fn a_list_that_does_not_begin_is_a_refused_operation() {
    let stores = Backend::in_memory().stores.clone();
    let stores = stores.observed(Traces::default());
    let nowhere = Cursor::new(b"nowhere".to_vec());
    let services = stores.services.list_services(limit(3), Some(&nowhere));
    assert!(services.await.is_err());
    let (filter, scope) = (SessionFilter::default(), Scope::All);
    let sessions = stores
        .sessions
        .list(&filter, &scope, limit(3), Some(&nowhere));
    assert!(sessions.await.is_err());
    assert_eq!(
        operations(&stores),
        [("list", "refused", 1), ("list_services", "refused", 1)]
    );
}

async fn owned(b: &Backend) -> BTreeMap<(String, Option<i64>), u64> {
    let owned = b.stores.stats.owned().await.unwrap().into_iter();
    let name = |owner: Owner| (owner.service_id.to_string(), owner.registration);
    owned
        .map(|(owner, count)| (name(owner), count))
        .map(|((id, at), count)| ((id, at.map(Timestamp::millis)), count))
        .collect()
}

async fn what_each_registration_of_a_service_has_is_counted(b: &Backend) {
    let of = |login: &str, id: &str, registration| NewSession {
        service_id: service(id),
        registration,
        ..draft(login)
    };
    let (first, second) = (b.now(), b.now().plus(SECOND));
    assert_eq!(owned(b).await, BTreeMap::new());
    b.create_all((0..300).map(|_| of("ana", "shop", Some(first))))
        .await;
    b.create_all((0..5).map(|n| of(&format!("u{n}"), "shop", Some(second))))
        .await;
    b.create_all((0..5).map(|n| of(&format!("u{n}"), "old", None)))
        .await;
    let limited = NewSession {
        limit: Some(SessionLimit {
            max: 1,
            per: LimitPer::Login,
            overflow: Overflow::EvictOldest,
        }),
        ..of("u1", "shop", Some(second))
    };
    // It takes the place of one of each.
    b.create(limited).await;
    let counts = |shop: u64| {
        BTreeMap::from([
            (("shop".to_owned(), Some(first.millis())), shop),
            (("shop".to_owned(), Some(second.millis())), 5),
            (("old".to_owned(), None), 4),
        ])
    };
    assert_eq!(owned(b).await, counts(300));
    let new = NewBan {
        login_id: login_id("ana"),
        until: None,
        reason: EndDetail::parse("spam").unwrap(),
    };
    b.stores.sessions.ban(new, &service("web")).await.unwrap();
    b.sweep().await;
    let mut left = counts(0);
    left.retain(|_, count| *count > 0);
    assert_eq!(owned(b).await, left);
    b.advance(MAX_AGE);
    b.sweep().await;
    assert_eq!(owned(b).await, BTreeMap::new());
}
