//! Repeating an operation whose answer was lost: one effect, the same answer.

use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::record::SessionChange;
use session_gateway::model::request::{Precondition, Target};
use session_gateway::model::session::SessionState;
use session_gateway::rules::create::NewSession;

use super::backend::{
    Backend, HOUR, SECOND, attribute, draft, ended_refusal, operation_id, target, value,
};

contract! {
    a_repeated_create_opens_one_session,
    a_create_without_an_operation_id_knows_its_own_session,
    a_repeated_increment_counts_once,
    a_repeated_write_tells_what_the_first_did,
    a_repeated_refresh_moves_nothing,
    an_operation_id_is_forgotten_after_a_day,
    a_repetition_after_the_end_says_so,
}

fn marked(session_id: session_gateway::model::id::SessionId, byte: u8) -> Target {
    Target {
        operation_id: Some(operation_id(byte)),
        ..target(session_id)
    }
}

async fn a_repeated_create_opens_one_session(b: &Backend) {
    let old = b.open("alice").await;
    let new = NewSession {
        operation_id: Some(operation_id(1)),
        limit: Some(SessionLimit {
            max: 1,
            per: LimitPer::Login,
            overflow: Overflow::EvictOldest,
        }),
        ..draft("alice")
    };
    let first = b.create(new.clone()).await;
    assert_eq!(first.evicted, [old.session_id]);
    b.advance(SECOND);
    let changed = b.put(new.session_id, "a", "1").await;
    let again = b.create(new).await;
    assert_eq!(again.evicted, first.evicted);
    assert_eq!(again.session, changed);
    assert_eq!(b.count().await, 1);
    assert_eq!(b.feed().await.len(), 4);
}

async fn a_create_without_an_operation_id_knows_its_own_session(b: &Backend) {
    let new = draft("alice");
    let first = b.create(new.clone()).await;
    assert_eq!(b.create(new).await, first);
    assert_eq!(b.count().await, 1);
    assert_eq!(b.feed().await.len(), 1);
}

async fn a_repeated_increment_counts_once(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    assert_eq!(b.increment(marked(session_id, 1), 5).await.unwrap(), 5);
    assert_eq!(b.increment(marked(session_id, 2), 1).await.unwrap(), 6);
    assert_eq!(b.increment(marked(session_id, 1), 5).await.unwrap(), 5);
    assert_eq!(b.increment(target(session_id), 0).await.unwrap(), 6);
    assert_eq!(b.live(session_id).await.version, 4);
}

async fn a_repeated_write_tells_what_the_first_did(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let put = SessionChange::PutAttribute(attribute("a"), value("1"));
    let once = Target {
        precondition: Precondition::Versions(vec![1]),
        ..marked(session_id, 1)
    };
    let sessions = &b.stores.sessions;
    let first = sessions.change(once.clone(), put.clone()).await.unwrap();
    assert!(first.inserted);
    assert_eq!(sessions.change(once, put).await.unwrap(), first);
}

async fn a_repeated_refresh_moves_nothing(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let sessions = &b.stores.sessions;
    let first = sessions
        .refresh(marked(session_id, 1), Some(HOUR))
        .await
        .unwrap();
    b.advance(SECOND);
    let again = sessions
        .refresh(marked(session_id, 1), Some(HOUR))
        .await
        .unwrap();
    assert_eq!(again.expires_at, first.expires_at);
    let beat = sessions
        .heartbeat(marked(session_id, 2), None)
        .await
        .unwrap();
    assert_eq!(beat.state, SessionState::Active);
    b.advance(SECOND);
    assert_eq!(
        sessions
            .heartbeat(marked(session_id, 2), None)
            .await
            .unwrap(),
        beat
    );
}

async fn an_operation_id_is_forgotten_after_a_day(b: &Backend) {
    let day = 24 * HOUR;
    let new = NewSession {
        idle_timeout: 10 * day,
        max_age: 10 * day,
        ..draft("alice")
    };
    let session_id = b.create(new).await.session.session_id;
    b.increment(marked(session_id, 1), 1).await.unwrap();
    b.advance(day);
    assert_eq!(b.increment(marked(session_id, 1), 1).await.unwrap(), 2);
    b.sweep().await;
    assert_eq!(b.increment(marked(session_id, 1), 1).await.unwrap(), 2);
}

async fn a_repetition_after_the_end_says_so(b: &Backend) {
    let new = NewSession {
        operation_id: Some(operation_id(1)),
        ..draft("alice")
    };
    let session_id = b.create(new.clone()).await.session.session_id;
    b.increment(marked(session_id, 2), 1).await.unwrap();
    b.end(session_id).await;
    ended_refusal(b.stores.sessions.create(new).await);
    ended_refusal(b.increment(marked(session_id, 2), 1).await);
}
