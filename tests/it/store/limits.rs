//! How many sessions a login may have.

use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::session::EndReason;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::refusal::Refusal;

use super::backend::{
    Backend, IDLE, MINUTE, SECOND, device, draft, draft_with_token, login_id, opened_by, presented,
    service,
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
    a_limit_may_count_and_end_the_sessions_of_one_service,
    all_of_200_sessions_may_give_way,
    of_more_sessions_the_oldest_give_way_by_their_ids,
    what_cannot_be_held_over_more_sessions_ends_nothing,
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

async fn a_limit_may_count_and_end_the_sessions_of_one_service(b: &Backend) {
    let [first, ..] = three(b).await;
    let own = |max| NewSession {
        service_id: service("mobile"),
        limit_scope: opened_by("mobile"),
        ..limited("alice", max, Overflow::EvictOldest)
    };
    let one = b.create(own(1)).await;
    assert_eq!(one.evicted, []);
    let two = b.create(own(1)).await;
    assert_eq!(two.evicted, [one.session.session_id]);
    let refused = NewSession {
        limit: limited("alice", 1, Overflow::Refuse).limit,
        ..own(1)
    };
    assert_eq!(b.refused(refused).await, Refusal::LimitReached);
    b.live(first.session_id).await;
    assert_eq!(b.count().await, 4);
}

/// Sessions of one login, the oldest first.
async fn crowd(b: &Backend, count: usize) -> Vec<SessionId> {
    let drafts: Vec<_> = (0..count).map(|_| draft("alice")).collect();
    b.create_all(drafts.clone()).await;
    drafts.iter().map(|new| new.session_id).collect()
}

async fn all_of_200_sessions_may_give_way(b: &Backend) {
    let crowd = crowd(b, 200).await;
    let created = b.create(limited("alice", 1, Overflow::EvictOldest)).await;
    assert_eq!(created.evicted, crowd);
    assert_eq!(b.count().await, 1);
}

async fn of_more_sessions_the_oldest_give_way_by_their_ids(b: &Backend) {
    let mut crowd = crowd(b, 230).await;
    b.end(crowd.remove(7)).await;
    let created = b.create(limited("alice", 200, Overflow::EvictOldest)).await;
    assert_eq!(created.evicted, crowd[..30]);
    b.live(crowd[30]).await;
    assert_eq!(b.count().await, 200);
}

async fn what_cannot_be_held_over_more_sessions_ends_nothing(b: &Backend) {
    crowd(b, 210).await;
    let per_device = Some(SessionLimit {
        max: 200,
        per: LimitPer::Device,
        overflow: Overflow::EvictOldest,
    });
    for new in [
        limited("alice", 200, Overflow::Refuse),
        limited("alice", 200, Overflow::EvictLeastActive),
        limited("alice", 10, Overflow::EvictOldest),
        NewSession {
            limit: per_device,
            ..draft("alice")
        },
        NewSession {
            limit_scope: opened_by("mobile"),
            ..limited("alice", 200, Overflow::EvictOldest)
        },
    ] {
        assert_eq!(b.refused(new).await, Refusal::LoginTooLarge);
    }
    assert_eq!(b.count().await, 210);
    let size = b.stores.sessions.index_size(&login_id("alice")).await;
    assert_eq!(size.unwrap(), 210);
}
