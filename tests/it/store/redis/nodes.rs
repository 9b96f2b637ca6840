//! Several nodes on one server, and what the server itself may do to them.

use deadpool_redis::redis::cmd;
use session_gateway::model::event::EventType;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::permission::Scope;
use session_gateway::model::session::EndReason;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::entry::Lookup;
use session_gateway::store::{OpError, Stores};
use tokio::task::JoinSet;

use super::super::backend::{
    Backend, HOUR, IDLE, access, attribute, draft, draft_with_token, login_id, merge, presented,
    target, value,
};
use super::super::endings::Endings;

async fn nodes(b: &Backend) -> Vec<Stores> {
    let another = || b.keyspace().open_at(&b.clock);
    vec![b.stores.clone(), another().await, another().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_sweep_at_once_tell_of_each_end_once() {
    const SESSIONS: usize = 1_000;
    let b = Backend::redis().await;
    b.create_all((0..SESSIONS).map(|number| draft(&format!("login {number}"))))
        .await;
    b.advance(20 * HOUR);
    let mut sweeps = JoinSet::new();
    for node in nodes(&b).await {
        sweeps.spawn(async move { while node.sessions.sweep().await.unwrap() {} });
    }
    sweeps.join_all().await;
    let feed = b.feed().await;
    let ended = feed
        .iter()
        .filter(|event| event.fact.change.event_type() == EventType::SessionEnded);
    assert_eq!(ended.count(), SESSIONS);
    assert_eq!(b.count().await, 0);
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_does_all_others_see() {
    let b = Backend::redis().await;
    let nodes = nodes(&b).await;
    let new = draft_with_token("alice", "a token that all nodes know");
    nodes[0].sessions.create(new.clone()).await.unwrap();
    let id = new.session_id;
    nodes[1]
        .sessions
        .change(target(id), merge(&[("a", "{\"b\":1}")]))
        .await
        .unwrap();
    nodes[2]
        .sessions
        .change(target(id), merge(&[("a", "{\"c\":2}")]))
        .await
        .unwrap();
    let found = nodes[0].sessions.find(id, &Scope::All).await.unwrap();
    let Lookup::Live(session) = found else {
        panic!("it is live");
    };
    let merged = session.attributes.get(&attribute("a")).cloned();
    assert_eq!(merged, Some(value("{\"b\":1,\"c\":2}")));
    nodes[1]
        .sessions
        .revoke(&presented(&new), &access())
        .await
        .unwrap();
    for node in &nodes {
        let found = node.sessions.find(id, &Scope::All).await.unwrap();
        assert!(matches!(found, Lookup::Ended(_)));
    }
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_exact_over_all_nodes() {
    let b = Backend::redis().await;
    for (round, overflow) in [Overflow::EvictOldest, Overflow::Refuse]
        .into_iter()
        .enumerate()
    {
        let login = format!("login {round}");
        let mut creates = JoinSet::new();
        for node in nodes(&b).await {
            for _ in 0..30 {
                let sessions = node.sessions.clone();
                let new = NewSession {
                    limit: Some(SessionLimit {
                        max: 3,
                        per: LimitPer::Login,
                        overflow,
                    }),
                    ..draft(&login)
                };
                creates.spawn(async move { sessions.create(new).await.is_ok() });
            }
        }
        creates.join_all().await;
        let live = b.stores.sessions.count(Some(&login_id(&login))).await;
        assert_eq!(live.unwrap(), 3);
    }
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_still_reads_and_ends() {
    let b = Backend::redis().await;
    let new = draft("alice");
    let sessions = &b.stores.sessions;
    for _ in 0..3 {
        b.open("alice").await;
    }
    b.create(new.clone()).await;
    b.open("bob").await;
    let mut redis = b.redis_connection();
    cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("1")
        .exec(&mut redis)
        .unwrap();
    for refused in [
        sessions.create(draft("alice")).await.map(drop),
        sessions
            .change(target(new.session_id), merge(&[("a", "1")]))
            .await
            .map(drop),
    ] {
        assert!(matches!(refused, Err(OpError::Store(_))), "{refused:?}");
    }
    b.verified(&presented(&new)).await;
    b.end(new.session_id).await;
    let which = EndAll {
        login_id: login_id("alice"),
        except: None,
        device: None,
        reason: EndReason::Admin,
        detail: None,
    };
    assert_eq!(sessions.end_login(which, &access()).await.unwrap().len(), 3);
    b.advance(IDLE);
    b.sweep().await;
    assert_eq!(b.count().await, 0);
    cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("0")
        .exec(&mut redis)
        .unwrap();
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_script_is_sent_again() {
    let b = Backend::redis().await;
    let id = b.open("alice").await.session_id;
    let mut redis = b.redis_connection();
    for number in 0..20 {
        cmd("SCRIPT").arg("FLUSH").exec(&mut redis).unwrap();
        b.put(id, "a", &number.to_string()).await;
    }
    assert_eq!(b.live(id).await.version, 21);
    b.close().await;
}
