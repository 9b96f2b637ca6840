//! Ending all sessions that match.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_gateway::model::event::EventType;
use session_gateway::model::filter::SessionFilter;
use session_gateway::model::request::Access;
use session_gateway::model::session::{EndDetail, EndReason, SessionState};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndBatch;
use session_gateway::store::node::EndExtent;
use tokio::task::JoinSet;

use super::backend::{
    Backend, IDLE, MILLISECOND, MINUTE, SECOND, SETTINGS, access, device, draft, login_id,
    opened_by, presented, service,
};
use super::endings::Endings;
use crate::support::size;

contract! {
    what_matches_ends_and_nothing_else,
    all_conditions_must_hold,
    a_count_ends_nothing,
    only_sessions_in_sight_are_ended,
    idle_sessions_are_those_nobody_used,
    what_has_expired_is_not_counted,
    ended_again_there_is_nothing_left,
    hundreds_of_logins_end_each_once,
    what_is_broken_off_is_finished_by_the_next_call,
    what_was_opened_before_ends_and_what_is_opened_after_lives,
    what_is_opened_between_two_steps_lives_on_as_does_what_is_excepted,
}

fn of_service(id: &str) -> SessionFilter {
    SessionFilter {
        service_id: Some(service(id)),
        ..SessionFilter::default()
    }
}

async fn end(b: &Backend, filter: SessionFilter) -> u64 {
    let sessions = &b.stores.sessions;
    let access = access();
    let ended = sessions.end_matching(filter, EndReason::Admin, &access);
    ended.await.unwrap()
}

/// How many endings the feed tells of.
async fn endings(b: &Backend) -> usize {
    let feed = b.feed().await;
    let types = feed.iter().map(|event| event.fact.change.event_type());
    types
        .filter(|kind| *kind == EventType::SessionEnded)
        .count()
}

async fn what_matches_ends_and_nothing_else(b: &Backend) {
    let on = |login: &str, kind: &str| NewSession {
        device: Some(device(kind)),
        ..draft(login)
    };
    let (alice, bob) = (on("alice", "web"), on("bob", "web"));
    let (phone, none) = (on("alice", "ios"), draft("carol"));
    for new in [&alice, &bob, &phone, &none] {
        b.create(new.clone()).await;
    }
    let web = SessionFilter {
        device: Some(device("web")),
        ..SessionFilter::default()
    };
    assert_eq!(end(b, web).await, 2);
    for new in [&alice, &bob] {
        let ended = b.ended(new.session_id).await;
        assert_eq!(ended.reason, EndReason::Admin);
        assert_eq!((ended.by, ended.at), (Some(service("web")), b.now()));
    }
    b.live(phone.session_id).await;
    b.live(none.session_id).await;
    assert_eq!(b.count().await, 2);
}

async fn all_conditions_must_hold(b: &Backend) {
    let old = b.open("alice").await;
    b.advance(SECOND);
    let middle = b.now();
    b.advance(SECOND);
    let new = b.open("alice").await;
    let other = b.open("bob").await;
    let filter = SessionFilter {
        login_id: Some(login_id("alice")),
        created_after: Some(middle),
        ..SessionFilter::default()
    };
    assert_eq!(end(b, filter).await, 1);
    b.ended(new.session_id).await;
    b.live(old.session_id).await;
    b.live(other.session_id).await;
}

async fn a_count_ends_nothing(b: &Backend) {
    b.create_all((0..5).map(|number| draft(&format!("login {number}"))))
        .await;
    let sessions = &b.stores.sessions;
    let (all, access) = (of_service("api"), access());
    let mut found = sessions
        .find_where(&all, &access, None, EndExtent::Named(3))
        .await
        .unwrap();
    assert_eq!((found.count, found.ended.len()), (3, 3));
    let rest = sessions.find_where(&all, &access, found.next, EndExtent::Named(3));
    let rest = rest.await.unwrap();
    assert_eq!((rest.count, rest.next), (2, None));
    found.ended.extend(rest.ended);
    found.ended.sort_unstable();
    found.ended.dedup();
    assert_eq!(found.ended.len(), 5);
    assert_eq!(b.count().await, 5);
    assert_eq!(endings(b).await, 0);
}

async fn only_sessions_in_sight_are_ended(b: &Backend) {
    let own = NewSession {
        service_id: service("mobile"),
        ..draft("alice")
    };
    b.create(own.clone()).await;
    let other = b.open("alice").await;
    let narrow = Access {
        service_id: service("mobile"),
        scope: opened_by("mobile"),
    };
    let all = SessionFilter {
        login_id: Some(login_id("alice")),
        ..SessionFilter::default()
    };
    let sessions = &b.stores.sessions;
    let ended = sessions.end_matching(all, EndReason::Admin, &narrow).await;
    assert_eq!(ended.unwrap(), 1);
    b.ended(own.session_id).await;
    b.live(other.session_id).await;
}

async fn idle_sessions_are_those_nobody_used(b: &Backend) {
    let (used, unused) = (draft("alice"), draft("alice"));
    b.create(used.clone()).await;
    b.create(unused.clone()).await;
    b.advance(SETTINGS.idle_after);
    // This use is not written yet.
    b.verified(&presented(&used)).await;
    let idle = SessionFilter {
        state: Some(SessionState::Idle),
        ..SessionFilter::default()
    };
    assert_eq!(end(b, idle).await, 1);
    b.ended(unused.session_id).await;
    b.live(used.session_id).await;
    let quiet = SessionFilter {
        active_before: Some(b.now()),
        ..SessionFilter::default()
    };
    assert_eq!(end(b, quiet.clone()).await, 0);
    b.advance(MINUTE);
    let quiet = SessionFilter {
        active_before: Some(b.now()),
        ..quiet
    };
    assert_eq!(end(b, quiet).await, 1);
    b.ended(used.session_id).await;
}

async fn what_has_expired_is_not_counted(b: &Backend) {
    let expired = b.open("alice").await;
    b.advance(IDLE);
    let live = b.open("alice").await;
    assert_eq!(end(b, of_service("api")).await, 1);
    let reason = b.ended(expired.session_id).await.reason;
    assert_eq!(reason, EndReason::IdleTimeout);
    b.ended(live.session_id).await;
}

async fn ended_again_there_is_nothing_left(b: &Backend) {
    b.open("alice").await;
    assert_eq!(end(b, of_service("api")).await, 1);
    assert_eq!(end(b, of_service("api")).await, 0);
    assert_eq!(endings(b).await, 1);
}

async fn hundreds_of_logins_end_each_once(b: &Backend) {
    b.create_all((0..300).map(|number| draft(&format!("login {number}"))))
        .await;
    b.create_all((0..450).map(|_| draft("alice"))).await;
    assert_eq!(end(b, of_service("api")).await, 750);
    assert_eq!(b.count().await, 0);
    assert_eq!(endings(b).await, 750);
}

/// How many sessions are there: as many as `SGW_TEST_BULK` says.
fn many() -> u64 {
    size("SGW_TEST_BULK", 1_500) as u64
}

async fn what_is_broken_off_is_finished_by_the_next_call(b: &Backend) {
    let many = many();
    for first in (0..many).step_by(500) {
        let numbers = first..many.min(first + 500);
        let drafts = numbers.map(|number| draft(&format!("login {}", number % 1_000)));
        b.create_all(drafts).await;
    }
    let store = b.stores.sessions.clone();
    let call = tokio::spawn(async move {
        store
            .end_matching(of_service("api"), EndReason::Admin, &access())
            .await
    });
    // It is broken off as soon as it has ended something, or is done.
    while b.count().await == many && !call.is_finished() {
        tokio::task::yield_now().await;
    }
    call.abort();
    drop(call.await);
    let left = b.count().await;
    // A step that was under way may still be done.
    assert!(end(b, of_service("api")).await <= left);
    assert_eq!(b.count().await, 0);
    assert_eq!(endings(b).await as u64, many);
}

async fn what_was_opened_before_ends_and_what_is_opened_after_lives(b: &Backend) {
    b.create_all((0..300).map(|number| draft(&format!("login {number}"))))
        .await;
    let before = draft("alice");
    b.create(before.clone()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut openers = JoinSet::new();
    for number in 0..4 {
        let store = b.stores.sessions.clone();
        let stop = Arc::clone(&stop);
        openers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                store
                    .create(draft(&format!("opener {number}")))
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    let ended = end(b, of_service("api")).await;
    let after = b.open("alice").await;
    stop.store(true, Ordering::Relaxed);
    openers.join_all().await;
    assert!(ended >= 301, "{ended}");
    b.ended(before.session_id).await;
    b.live(after.session_id).await;
    assert_eq!(endings(b).await as u64, ended);
}

async fn what_is_opened_between_two_steps_lives_on_as_does_what_is_excepted(b: &Backend) {
    const MANY: usize = 450;
    let engine = b.stores.sessions.clone().into_engine();
    let of_login = SessionFilter::of_login(login_id("alice"));
    for filter in [of_login.clone(), of_service("api")] {
        b.create_all((0..MANY).map(|_| draft("alice"))).await;
        let excepted = b.open("alice").await;
        let batch = EndBatch {
            filter,
            except: Some(excepted.session_id),
            reason: EndReason::Admin,
            detail: EndDetail::parse("spring cleaning").ok(),
            access: access(),
        };
        let mut step = engine.end_batch(&batch, None, usize::MAX).await.unwrap();
        b.advance(MILLISECOND);
        let late = b.open("alice").await;
        let mut ended = step.ended;
        while let Some(position) = step.next {
            step = engine
                .end_batch(&batch, Some(position), usize::MAX)
                .await
                .unwrap();
            assert!(step.ended.len() <= 200);
            ended.extend(&step.ended);
        }
        ended.sort_unstable();
        ended.dedup();
        assert_eq!(ended.len(), MANY);
        for session_id in [ended[0], ended[MANY - 1]] {
            assert_eq!(b.ended(session_id).await.detail, batch.detail);
        }
        b.live(excepted.session_id).await;
        b.live(late.session_id).await;
        assert_eq!(end(b, of_login.clone()).await, 2);
    }
}
