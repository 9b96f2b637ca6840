//! Many at once: nothing is lost, nothing revived, no limit passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_gateway::model::event::EventType;
use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::session::EndReason;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::node::Handle;
use session_gateway::store::{OpError, SessionStore};
use tokio::task::JoinSet;

use super::backend::{
    Backend, access, at_version, attribute, draft, login_id, merge, presented, target,
};
use super::endings::Endings;

contract! {
    two_hundred_writers_of_two_hundred_attributes_all_survive,
    compare_and_set_counts_every_increment,
    no_late_write_revives_an_ended_session,
    limits_are_exact_under_parallel_creates,
    no_create_slips_through_the_end_of_all,
    one_of_many_creates_with_one_token_wins,
    parallel_ends_are_told_of_once,
}

pub(super) fn store(b: &Backend) -> Handle<dyn SessionStore> {
    b.stores.sessions.clone()
}

async fn two_hundred_writers_of_two_hundred_attributes_all_survive(b: &Backend) {
    let new = draft("alice");
    let session_id = b.create(new.clone()).await.session.session_id;
    let mut writers = JoinSet::new();
    for number in 0..200 {
        let (store, token) = (store(b), presented(&new));
        writers.spawn(async move {
            let write = merge(&[(&format!("attribute {number}"), "1")]);
            store.change(target(session_id), write).await.unwrap();
            let touch = session_gateway::model::request::Touch::Yes;
            store.find_by_token(&token, touch).await.unwrap();
            store.refresh(target(session_id), None).await.unwrap();
        });
    }
    writers.join_all().await;
    let session = b.live(session_id).await;
    assert_eq!(session.version, 201);
    for number in 0..200 {
        let name = attribute(&format!("attribute {number}"));
        assert!(session.attributes.get(&name).is_some(), "{name}");
    }
}

async fn compare_and_set_counts_every_increment(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let store = store(b);
        clients.spawn(async move {
            for _ in 0..20 {
                while !try_to_count(&store, session_id).await {}
            }
        });
    }
    clients.join_all().await;
    let session = b.live(session_id).await;
    let counter = session.attributes.get(&attribute("counter")).unwrap();
    assert_eq!(counter.as_i64(), Some(1_000));
    assert_eq!(session.version, 1_001);
}

async fn try_to_count(store: &Handle<dyn SessionStore>, session_id: SessionId) -> bool {
    let scope = session_gateway::model::permission::Scope::All;
    let session_gateway::rules::entry::Lookup::Live(session) =
        store.find(session_id, &scope).await.unwrap()
    else {
        panic!("it is live");
    };
    let counter = session.attributes.get(&attribute("counter"));
    let next = counter.map_or(0, |value| value.as_i64().unwrap()) + 1;
    let write = merge(&[("counter", &next.to_string())]);
    let changed = store.change(at_version(session_id, session.version), write);
    match changed.await {
        Ok(_) => true,
        Err(OpError::Refused(Refusal::VersionConflict)) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn no_late_write_revives_an_ended_session(b: &Backend) {
    for _ in 0..1_000 {
        let session_id = b.open("alice").await.session_id;
        let (write, refresh, end) = (store(b), store(b), store(b));
        let writes = tokio::join!(
            tokio::spawn(async move {
                let change = write.change(target(session_id), merge(&[("late", "1")]));
                change.await.map(drop)
            }),
            tokio::spawn(async move { refresh.refresh(target(session_id), None).await.map(drop) }),
            tokio::spawn(async move {
                end.end(target(session_id), EndReason::Logout)
                    .await
                    .map(drop)
            }),
        );
        for refused in [writes.0, writes.1].map(Result::unwrap) {
            let allowed = matches!(
                refused,
                Ok(()) | Err(OpError::Refused(Refusal::SessionEnded(_)))
            );
            assert!(allowed, "{refused:?}");
        }
        writes.2.unwrap().unwrap();
        assert_eq!(b.ended(session_id).await.reason, EndReason::Logout);
    }
    assert_eq!(b.count().await, 0);
}

async fn limits_are_exact_under_parallel_creates(b: &Backend) {
    for round in 0..10 {
        for max in [1, 3] {
            for overflow in [Overflow::EvictOldest, Overflow::Refuse] {
                let login = format!("login {round} {max} {overflow:?}");
                let limit = Some(SessionLimit {
                    max,
                    per: LimitPer::Login,
                    overflow,
                });
                let mut creates = JoinSet::new();
                for _ in 0..100 {
                    let new = NewSession {
                        limit,
                        ..draft(&login)
                    };
                    let store = store(b);
                    creates.spawn(async move { store.create(new).await.is_ok() });
                }
                let opened = creates.join_all().await;
                let opened = opened.into_iter().filter(|opened| *opened).count();
                let expected = if overflow == Overflow::Refuse {
                    max
                } else {
                    100
                };
                assert_eq!(opened, expected);
                let live = b.stores.sessions.count(Some(&login_id(&login))).await;
                assert_eq!(live.unwrap(), max as u64);
            }
        }
    }
}

async fn no_create_slips_through_the_end_of_all(b: &Backend) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut creators = JoinSet::new();
    for _ in 0..8 {
        let (store, stop, clock) = (store(b), Arc::clone(&stop), Arc::clone(&b.clock));
        creators.spawn(async move {
            let mut opened = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                clock.advance(Duration::from_millis(1));
                let session = store.create(draft("alice")).await.unwrap().session;
                opened.push((session.session_id, session.created_at));
            }
            opened
        });
    }
    while b.count().await < 300 {
        tokio::task::yield_now().await;
    }
    let called_at = b.now();
    let which = EndAll {
        login_id: login_id("alice"),
        except: None,
        device: None,
        reason: EndReason::Admin,
        detail: None,
    };
    let ended = b.stores.sessions.end_login(which, &access()).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let opened = creators.join_all().await.concat();
    assert!(ended.len() >= 300);
    for (session_id, created_at) in opened {
        if created_at < called_at {
            assert_eq!(b.ended(session_id).await.reason, EndReason::Admin);
        }
    }
}

async fn one_of_many_creates_with_one_token_wins(b: &Backend) {
    let mut creates = JoinSet::new();
    for _ in 0..50 {
        let new = super::backend::draft_with_token("alice", "the same token for all");
        let store = store(b);
        creates.spawn(async move { store.create(new).await });
    }
    let (opened, refused): (Vec<_>, Vec<_>) = creates
        .join_all()
        .await
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!((opened.len(), refused.len()), (1, 49));
    assert_eq!(b.count().await, 1);
}

async fn parallel_ends_are_told_of_once(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let mut ends = JoinSet::new();
    for _ in 0..20 {
        let store = store(b);
        ends.spawn(async move {
            let ended = store.end(target(session_id), EndReason::Logout).await;
            matches!(
                ended.unwrap(),
                session_gateway::rules::end::EndOutcome::Now(_)
            )
        });
    }
    let first = ends.join_all().await.into_iter().filter(|now| *now);
    assert_eq!(first.count(), 1);
    let types = b.types(session_id).await;
    assert_eq!(types, [EventType::SessionCreated, EventType::SessionEnded]);
}
