//! Uses: counted from the verification itself, written a little later, never a way back to life.

use session_gateway::model::filter::SessionFilter;
use session_gateway::model::permission::Scope;
use session_gateway::model::request::Touch;
use session_gateway::model::session::EndReason;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::entry::Lookup;

use super::backend::{
    Backend, HOUR, IDLE, MILLISECOND, MINUTE, SECOND, draft, limit, presented, target,
};

contract! {
    a_verification_counts_at_once,
    looking_without_touching_leaves_no_trace,
    a_short_stored_life_is_prolonged_before_the_answer,
    a_verification_never_promises_more_than_is_stored,
    what_only_a_use_keeps_alive_is_written_before_the_answer,
    a_use_is_written_within_its_interval,
    a_use_is_seen_by_every_read_and_write,
    a_use_revives_nothing,
    a_use_does_not_undo_a_later_refresh,
}

async fn a_verification_counts_at_once(b: &Backend) {
    let new = draft("alice");
    b.create(new.clone()).await;
    b.advance(20 * MINUTE);
    let used = b.verified(&presented(&new)).await.into_session();
    assert_eq!(used.last_active_at, b.now());
    assert_eq!(used.expires_at, b.now().plus(IDLE));
    assert_eq!(used.version, 1);
    assert_eq!(b.live(new.session_id).await, used);
    b.advance(IDLE - MILLISECOND);
    b.sweep().await;
    b.live(new.session_id).await;
    b.advance(MILLISECOND);
    assert_eq!(b.ended(new.session_id).await.at, used.expires_at);
    b.sweep().await;
    assert_eq!(b.ended(new.session_id).await.at, used.expires_at);
    assert_eq!(b.types(new.session_id).await.len(), 2);
}

async fn looking_without_touching_leaves_no_trace(b: &Backend) {
    let new = draft("alice");
    let session = b.create(new.clone()).await.session;
    b.advance(MINUTE);
    let sessions = &b.stores.sessions;
    let found = sessions.find_by_token(&presented(&new), Touch::No).await;
    let Lookup::Live(verified) = found.unwrap() else {
        panic!("it is live");
    };
    assert_eq!(verified.into_session(), session);
    b.advance(IDLE - MINUTE);
    b.ended(new.session_id).await;
}

async fn a_short_stored_life_is_prolonged_before_the_answer(b: &Backend) {
    let new = draft("alice");
    b.create(new.clone()).await;
    b.advance(IDLE - 15 * SECOND);
    let verified = b.verified(&presented(&new)).await;
    assert_eq!(verified.stored_until, b.now().plus(IDLE));
    assert_eq!(verified.life.expires_at, b.now().plus(IDLE));
}

async fn a_verification_never_promises_more_than_is_stored(b: &Backend) {
    let new = draft("alice");
    let session = b.create(new.clone()).await.session;
    b.advance(MINUTE);
    let verified = b.verified(&presented(&new)).await;
    assert_eq!(verified.stored_until, session.expires_at);
    b.put(new.session_id, "a", "1").await;
    let verified = b.verified(&presented(&new)).await;
    assert_eq!(verified.stored_until, b.now().plus(IDLE));
}

/// However late the background is: here no time passes between the moves of the clock.
async fn what_only_a_use_keeps_alive_is_written_before_the_answer(b: &Backend) {
    let new = NewSession {
        idle_timeout: MINUTE,
        ..draft("alice")
    };
    b.create(new.clone()).await;
    b.advance(40 * SECOND);
    let used = b.verified(&presented(&new)).await;
    b.advance(20 * SECOND);
    let sessions = &b.stores.sessions;
    let found = sessions.find_by_token(&presented(&new), Touch::No).await;
    let Lookup::Live(found) = found.unwrap() else {
        panic!("it is live");
    };
    assert_eq!(found.life, used.life);
    assert_eq!(found.stored_until, used.life.expires_at);
    let again = sessions.find_by_token(&presented(&new), Touch::No).await;
    assert_eq!(again.unwrap(), Lookup::Live(found));
}

async fn a_use_is_written_within_its_interval(b: &Backend) {
    let new = draft("alice");
    b.create(new.clone()).await;
    b.advance(MINUTE);
    let used = b.verified(&presented(&new)).await.into_session();
    b.advance(10 * SECOND);
    let sessions = &b.stores.sessions;
    let token = presented(&new);
    let written = async {
        loop {
            let found = sessions.find_by_token(&token, Touch::No).await.unwrap();
            match found {
                Lookup::Live(verified) if verified.stored_until == used.expires_at => return,
                Lookup::Live(_) => tokio::task::yield_now().await,
                other => panic!("it is live: {other:?}"),
            }
        }
    };
    tokio::time::timeout(MINUTE, written).await.unwrap();
}

async fn a_use_is_seen_by_every_read_and_write(b: &Backend) {
    let new = draft("alice");
    b.create(new.clone()).await;
    b.advance(20 * MINUTE);
    let used_at = b.verified(&presented(&new)).await.life.last_active_at;
    b.advance(20 * MINUTE);
    let sessions = &b.stores.sessions;
    let filter = SessionFilter::default();
    let listed = sessions.list(&filter, &Scope::All, limit(1), None).await;
    assert_eq!(listed.unwrap().items[0].last_active_at, used_at);
    let login = sessions.login(&new.login_id).await.unwrap();
    assert_eq!(login.last_active_at, Some(used_at));
    assert_eq!(b.count().await, 1);
    let session = sessions.refresh(target(new.session_id), Some(HOUR)).await;
    assert_eq!(session.unwrap().expires_at, b.now().plus(HOUR));
}

async fn a_use_revives_nothing(b: &Backend) {
    let ended = draft("alice");
    let expired = NewSession {
        max_age: HOUR,
        idle_timeout: HOUR,
        ..draft("alice")
    };
    for new in [&ended, &expired] {
        b.create(new.clone()).await;
        b.advance(SECOND);
        b.verified(&presented(new)).await;
    }
    b.end(ended.session_id).await;
    b.advance(HOUR - 2 * SECOND);
    b.sweep().await;
    b.advance(2 * SECOND);
    b.sweep().await;
    for new in [&ended, &expired] {
        assert!(!matches!(b.verify(&presented(new)).await, Lookup::Live(_)));
    }
    assert_eq!(b.ended(expired.session_id).await.reason, EndReason::MaxAge);
    assert_eq!(b.types(ended.session_id).await.len(), 2);
    assert_eq!(b.count().await, 0);
}

async fn a_use_does_not_undo_a_later_refresh(b: &Backend) {
    let new = draft("alice");
    b.create(new.clone()).await;
    b.advance(SECOND);
    b.verified(&presented(&new)).await;
    b.advance(SECOND);
    let sessions = &b.stores.sessions;
    let short = sessions
        .refresh(target(new.session_id), Some(MINUTE))
        .await
        .unwrap();
    b.advance(30 * SECOND);
    b.put_nothing(new.session_id).await;
    assert_eq!(b.live(new.session_id).await.expires_at, short.expires_at);
    b.advance(30 * SECOND);
    assert_eq!(b.ended(new.session_id).await.at, short.expires_at);
}

impl Backend {
    /// A write that moves no timer.
    async fn put_nothing(&self, session_id: session_gateway::model::id::SessionId) {
        let update = session_gateway::model::record::SessionUpdate::default();
        let change = session_gateway::model::record::SessionChange::Update(Box::new(update));
        let changed = self
            .stores
            .sessions
            .change(target(session_id), change)
            .await;
        changed.unwrap();
    }
}
