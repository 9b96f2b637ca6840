//! Expiry: exact on every path, whatever is still stored, and told of once.

use session_gateway::model::event::EventType;
use session_gateway::model::filter::SessionFilter;
use session_gateway::model::permission::Scope;
use session_gateway::model::request::Touch;
use session_gateway::model::session::{EndReason, Ended};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndOutcome;
use session_gateway::rules::entry::Lookup;

use super::backend::{
    Backend, HOUR, IDLE, MAX_AGE, MILLISECOND, MINUTE, SECOND, draft, draft_with_token,
    ended_refusal, limit, login_id, merge, presented, target,
};

contract! {
    an_idle_session_is_over_to_the_millisecond,
    no_use_moves_the_absolute_expiry,
    an_expired_session_is_over_on_every_path,
    a_late_end_does_not_record_logout,
    expiry_is_told_of_once_whoever_meets_it,
    an_unused_session_is_swept_where_it_expires,
    a_session_that_was_prolonged_outlives_its_first_expiry,
    a_refresh_may_shorten_the_life_and_says_so,
    a_tombstone_goes_and_frees_its_token,
    sweeping_goes_in_bounded_steps,
}

async fn an_idle_session_is_over_to_the_millisecond(b: &Backend) {
    let session = b.open("alice").await;
    b.advance(IDLE - MILLISECOND);
    b.live(session.session_id).await;
    b.advance(MILLISECOND);
    let expected = Ended {
        reason: EndReason::IdleTimeout,
        at: session.expires_at,
        by: None,
        detail: None,
    };
    assert_eq!(b.ended(session.session_id).await, expected);
    b.advance(MINUTE);
    b.sweep().await;
    assert_eq!(b.ended(session.session_id).await, expected);
}

async fn no_use_moves_the_absolute_expiry(b: &Backend) {
    let new = NewSession {
        max_age: HOUR,
        ..draft("alice")
    };
    let session = b.create(new.clone()).await.session;
    let sessions = &b.stores.sessions;
    for _ in 0..3 {
        b.advance(15 * MINUTE);
        let ttl = Some(10 * MAX_AGE);
        sessions
            .refresh(target(session.session_id), ttl)
            .await
            .unwrap();
        sessions
            .heartbeat(target(session.session_id), None)
            .await
            .unwrap();
        let verified = b.verified(&presented(&new)).await;
        b.put(session.session_id, "a", "1").await;
        assert_eq!(verified.life.expires_at, session.max_expires_at);
    }
    b.advance(15 * MINUTE);
    assert_eq!(b.ended(session.session_id).await.reason, EndReason::MaxAge);
}

async fn an_expired_session_is_over_on_every_path(b: &Backend) {
    let new = draft("alice");
    let session_id = b.create(new.clone()).await.session.session_id;
    b.advance(IDLE);
    let sessions = &b.stores.sessions;
    for touch in [Touch::No, Touch::Yes] {
        let found = sessions.find_by_token(&presented(&new), touch).await;
        assert!(matches!(found.unwrap(), Lookup::Ended(_)));
    }
    let login = sessions.login(&login_id("alice")).await.unwrap();
    assert_eq!((login.session_count, login.last_active_at), (0, None));
    assert_eq!(b.count().await, 0);
    let filter = SessionFilter::default();
    let listed = sessions.list(&filter, &Scope::All, limit(10), None).await;
    assert_eq!(listed.unwrap().items, []);
    let changed = sessions
        .change(target(session_id), merge(&[("a", "1")]))
        .await;
    assert_eq!(ended_refusal(changed).reason, EndReason::IdleTimeout);
    let refreshed = sessions.refresh(target(session_id), None).await;
    assert_eq!(ended_refusal(refreshed).reason, EndReason::IdleTimeout);
    let beat = sessions.heartbeat(target(session_id), None).await;
    assert_eq!(ended_refusal(beat).reason, EndReason::IdleTimeout);
}

async fn a_late_end_does_not_record_logout(b: &Backend) {
    let session = b.open("alice").await;
    b.advance(IDLE);
    let EndOutcome::Before(tombstone) = b.end(session.session_id).await else {
        panic!("it had expired before");
    };
    assert_eq!(tombstone.ended.reason, EndReason::IdleTimeout);
    assert_eq!(tombstone.ended.at, session.expires_at);
}

async fn expiry_is_told_of_once_whoever_meets_it(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    b.advance(IDLE);
    let sessions = &b.stores.sessions;
    let (ended, changed, swept) = tokio::join!(
        b.end(session_id),
        sessions.change(target(session_id), merge(&[("a", "1")])),
        b.sweep(),
    );
    assert!(matches!(ended, EndOutcome::Before(_)));
    ended_refusal(changed);
    let () = swept;
    let types = b.types(session_id).await;
    assert_eq!(types, [EventType::SessionCreated, EventType::SessionEnded]);
}

async fn an_unused_session_is_swept_where_it_expires(b: &Backend) {
    let (short, long) = (draft("alice"), b.open("alice").await);
    let short = NewSession {
        idle_timeout: MINUTE,
        ..short
    };
    let short = b.create(short).await.session;
    b.advance(MINUTE);
    assert!(!b.stores.sessions.sweep().await.unwrap());
    let facts = b.feed().await.into_iter().map(|event| event.fact);
    let ended: Vec<_> = facts
        .filter(|fact| fact.change.event_type() == EventType::SessionEnded)
        .collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].session_id, Some(short.session_id));
    assert_eq!(ended[0].at, short.expires_at);
    b.live(long.session_id).await;
}

async fn a_session_that_was_prolonged_outlives_its_first_expiry(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    b.advance(IDLE - SECOND);
    b.put(session_id, "a", "1").await;
    b.advance(2 * SECOND);
    b.sweep().await;
    assert_eq!(b.count().await, 1);
    b.live(session_id).await;
    b.advance(IDLE);
    b.sweep().await;
    assert_eq!(b.ended(session_id).await.reason, EndReason::IdleTimeout);
}

async fn a_refresh_may_shorten_the_life_and_says_so(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let sessions = &b.stores.sessions;
    b.advance(SECOND);
    let same = sessions.refresh(target(session_id), None).await.unwrap();
    assert_eq!((same.expires_at, same.version), (b.now().plus(IDLE), 1));
    assert_eq!(b.types(session_id).await.len(), 1);
    let short = sessions
        .refresh(target(session_id), Some(MINUTE))
        .await
        .unwrap();
    assert_eq!(short.expires_at, b.now().plus(MINUTE));
    assert_eq!(b.types(session_id).await.len(), 2);
    b.advance(MINUTE);
    b.sweep().await;
    assert_eq!(b.ended(session_id).await.at, short.expires_at);
}

async fn a_tombstone_goes_and_frees_its_token(b: &Backend) {
    for swept in [true, false] {
        let token = format!("a framework's token {swept}");
        let first = draft_with_token("alice", &token);
        let second = draft_with_token("bob", &token);
        b.create(first.clone()).await;
        b.end(first.session_id).await;
        b.advance(HOUR - MILLISECOND);
        b.ended(first.session_id).await;
        b.advance(MILLISECOND);
        if swept {
            b.sweep().await;
        }
        assert_eq!(b.find(first.session_id).await, Lookup::Unknown);
        assert_eq!(b.verify(&presented(&first)).await, Lookup::Unknown);
        b.create(second.clone()).await;
        b.sweep().await;
        let verified = b.verified(&presented(&first)).await;
        assert_eq!(verified.record.session.session_id, second.session_id);
    }
}

async fn sweeping_goes_in_bounded_steps(b: &Backend) {
    const SESSIONS: usize = 1_100;
    let drafts = (0..SESSIONS).map(|number| draft(&format!("login {number}")));
    b.create_all(drafts).await;
    b.advance(IDLE);
    let mut steps = 1;
    while b.stores.sessions.sweep().await.unwrap() {
        steps += 1;
    }
    assert!(steps >= 3, "{steps} steps");
    let feed = b.feed().await;
    let types = feed.iter().map(|event| event.fact.change.event_type());
    let ended = types.filter(|kind| *kind == EventType::SessionEnded);
    assert_eq!(ended.count(), SESSIONS);
}
