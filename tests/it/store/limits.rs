//! How many sessions a login may have.

use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::session::EndReason;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::refusal::Refusal;

use super::backend::{
    Backend, IDLE, MINUTE, SECOND, device, draft, draft_with_token, login_id, presented, service,
};

contract! {
    a_full_login_is_refused,
    the_oldest_makes_room,
    the_least_active_makes_room,
    a_limit_may_count_one_kind_of_device,
    expired_sessions_do_not_count,
    the_sessions_of_all_services_count,
    a_smaller_limit_ends_as_many_as_it_takes,
    a_refused_session_leaves_its_token_free,
}

fn limited(login: &str, max: usize, overflow: Overflow) -> NewSession {
    NewSession {
        limit: Some(SessionLimit {
            max,
            per: LimitPer::Login,
            overflow,
        }),
        ..draft(login)
    }
}

async fn three(b: &Backend) -> [NewSession; 3] {
    let drafts = [draft("alice"), draft("alice"), draft("alice")];
    for new in &drafts {
        b.create(new.clone()).await;
        b.advance(SECOND);
    }
    drafts
}

async fn replaced(b: &Backend, session_id: SessionId) {
    let ended = b.ended(session_id).await;
    assert_eq!(ended.reason, EndReason::Replaced);
    assert_eq!(ended.by, Some(service("api")));
    assert_eq!(ended.at, b.now());
}

async fn a_full_login_is_refused(b: &Backend) {
    three(b).await;
    let refused = b.refused(limited("alice", 3, Overflow::Refuse)).await;
    assert_eq!(refused, Refusal::LimitReached);
    b.create(limited("bob", 3, Overflow::Refuse)).await;
    b.create(limited("alice", 4, Overflow::Refuse)).await;
    assert_eq!(b.count().await, 5);
}

async fn the_oldest_makes_room(b: &Backend) {
    let [first, second, third] = three(b).await;
    b.put(first.session_id, "busy", "true").await;
    let created = b.create(limited("alice", 3, Overflow::EvictOldest)).await;
    assert_eq!(created.evicted, [first.session_id]);
    replaced(b, first.session_id).await;
    b.live(second.session_id).await;
    b.live(third.session_id).await;
}

async fn the_least_active_makes_room(b: &Backend) {
    let [first, second, third] = three(b).await;
    b.verified(&presented(&first)).await;
    b.advance(SECOND);
    let new = limited("alice", 3, Overflow::EvictLeastActive);
    assert_eq!(b.create(new).await.evicted, [second.session_id]);
    replaced(b, second.session_id).await;
    b.live(first.session_id).await;
    b.live(third.session_id).await;
}

async fn a_limit_may_count_one_kind_of_device(b: &Backend) {
    let on = |kind: Option<&str>| NewSession {
        device: kind.map(device),
        limit: Some(SessionLimit {
            max: 1,
            per: LimitPer::Device,
            overflow: Overflow::EvictOldest,
        }),
        ..draft("alice")
    };
    let web = b.create(on(Some("web"))).await.session.session_id;
    let none = b.create(on(None)).await.session.session_id;
    assert_eq!(b.create(on(Some("ios"))).await.evicted, []);
    assert_eq!(b.create(on(None)).await.evicted, [none]);
    assert_eq!(b.create(on(Some("web"))).await.evicted, [web]);
    assert_eq!(b.count().await, 3);
}

async fn expired_sessions_do_not_count(b: &Backend) {
    let [first, ..] = three(b).await;
    b.advance(IDLE - MINUTE);
    let newer = b.open("alice").await;
    b.advance(MINUTE);
    let created = b.create(limited("alice", 2, Overflow::Refuse)).await;
    assert_eq!(created.evicted, []);
    b.live(newer.session_id).await;
    assert_eq!(
        b.ended(first.session_id).await.reason,
        EndReason::IdleTimeout
    );
    assert_eq!(b.count().await, 2);
}

async fn the_sessions_of_all_services_count(b: &Backend) {
    let other = NewSession {
        service_id: service("mobile"),
        ..draft("alice")
    };
    b.create(other.clone()).await;
    let created = b.create(limited("alice", 1, Overflow::EvictOldest)).await;
    assert_eq!(created.evicted, [other.session_id]);
}

async fn a_smaller_limit_ends_as_many_as_it_takes(b: &Backend) {
    let [first, second, third] = three(b).await;
    let created = b.create(limited("alice", 1, Overflow::EvictOldest)).await;
    let all = [first.session_id, second.session_id, third.session_id];
    assert_eq!(created.evicted, all);
    let count = b.stores.sessions.count(Some(&login_id("alice"))).await;
    assert_eq!(count.unwrap(), 1);
}

async fn a_refused_session_leaves_its_token_free(b: &Backend) {
    b.open("alice").await;
    let refused = NewSession {
        limit: limited("alice", 1, Overflow::Refuse).limit,
        ..draft_with_token("alice", "a token that is brought twice")
    };
    assert_eq!(b.refused(refused).await, Refusal::LimitReached);
    let other = draft_with_token("bob", "a token that is brought twice");
    b.create(other.clone()).await;
    assert_eq!(
        b.verified(&presented(&other)).await.into_session().login_id,
        login_id("bob")
    );
}
