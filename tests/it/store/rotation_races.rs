//! Rotations beside other rotations, ends and writes: one successor, no ghost, nothing lost.

use std::collections::BTreeSet;

use session_gateway::model::event::EventType;
use session_gateway::model::id::SessionId;
use session_gateway::model::session::EndReason;
use session_gateway::model::session_token::SealedToken;
use session_gateway::model::token::PresentedToken;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::refusal::Refusal;
use session_gateway::rules::rotate::{Rotated, TokenRotation};
use session_gateway::store::node::Handle;
use session_gateway::store::{OpError, SessionStore};
use tokio::task::JoinSet;

use super::backend::{Backend, access, attribute, login_id, merge, target};
use super::endings::Endings;
use super::races::store;
use super::rotation::{is_good, opened, rotation, token};

contract! {
    fifty_parallel_rotations_bring_one_successor,
    a_rotation_beside_an_end_leaves_no_good_token,
    a_rotation_beside_the_end_of_all_leaves_no_good_token,
    a_rotation_beside_a_write_loses_neither,
}

fn successor(rotated: Result<Rotated, OpError>, own: u8) -> SealedToken {
    match rotated.unwrap() {
        Rotated::Now(_) => SealedToken(vec![own; 48]),
        Rotated::Before(_, sealed) => sealed,
    }
}

async fn fifty_parallel_rotations_bring_one_successor(b: &Backend) {
    let (session_id, mut last) = opened(b).await;
    for round in 1..=20 {
        let mut rotations = JoinSet::new();
        for number in 1..=50 {
            let store = store(b);
            let asked = rotation(session_id, &last, number + 50 * (round % 2));
            let own = asked.successor.sealed.0[0];
            rotations.spawn(async move { successor(store.rotate(asked).await, own) });
        }
        let successors = rotations.join_all().await;
        let successors: BTreeSet<Vec<u8>> = successors.into_iter().map(|sealed| sealed.0).collect();
        assert_eq!(successors.len(), 1, "round {round}");
        let successor = token(session_id, successors.first().unwrap()[0]);
        assert!(is_good(b, &last).await && is_good(b, &successor).await);
        last = successor;
    }
    let types = b.types(session_id).await;
    let rotations = types
        .iter()
        .filter(|kind| **kind == EventType::SessionRotated);
    assert_eq!(rotations.count(), 20);
}

/// Whatever came first: the rotation was made, or refused because the session had ended.
async fn rotate_beside_an_end(store: Handle<dyn SessionStore>, asked: TokenRotation) {
    let rotated = store.rotate(asked).await;
    let allowed = matches!(
        rotated,
        Ok(Rotated::Now(_)) | Err(OpError::Refused(Refusal::SessionEnded(_)))
    );
    assert!(allowed, "{rotated:?}");
}

async fn no_token_is_good(b: &Backend, session_id: SessionId, first: PresentedToken) {
    for token in [first, token(session_id, 1)] {
        assert!(!is_good(b, &token).await);
    }
}

async fn a_rotation_beside_an_end_leaves_no_good_token(b: &Backend) {
    for _ in 0..300 {
        let (session_id, first) = opened(b).await;
        let (one, other) = (store(b), store(b));
        let asked = rotation(session_id, &first, 1);
        let (rotated, ended) = tokio::join!(
            tokio::spawn(rotate_beside_an_end(one, asked)),
            tokio::spawn(async move { other.end(target(session_id), EndReason::Logout).await }),
        );
        rotated.unwrap();
        ended.unwrap().unwrap();
        assert_eq!(b.ended(session_id).await.reason, EndReason::Logout);
        no_token_is_good(b, session_id, first).await;
    }
    assert_eq!(b.count().await, 0);
}

async fn a_rotation_beside_the_end_of_all_leaves_no_good_token(b: &Backend) {
    for _ in 0..100 {
        let (session_id, first) = opened(b).await;
        let (one, other) = (store(b), store(b));
        let asked = rotation(session_id, &first, 1);
        let which = EndAll {
            login_id: login_id("alice"),
            except: None,
            device: None,
            reason: EndReason::Admin,
            detail: None,
        };
        let (rotated, ended) = tokio::join!(
            tokio::spawn(rotate_beside_an_end(one, asked)),
            tokio::spawn(async move { other.end_login(which, &access()).await }),
        );
        rotated.unwrap();
        assert_eq!(ended.unwrap().unwrap(), [session_id]);
        no_token_is_good(b, session_id, first).await;
    }
    assert_eq!(b.count().await, 0);
}

async fn a_rotation_beside_a_write_loses_neither(b: &Backend) {
    for _ in 0..300 {
        let (session_id, first) = opened(b).await;
        let (one, other) = (store(b), store(b));
        let asked = rotation(session_id, &first, 1);
        let (rotated, written) = tokio::join!(
            tokio::spawn(async move { one.rotate(asked).await }),
            tokio::spawn(async move {
                let write = other.change(target(session_id), merge(&[("kept", "1")]));
                write.await
            }),
        );
        assert!(matches!(rotated.unwrap(), Ok(Rotated::Now(_))));
        written.unwrap().unwrap();
        let session = b.live(session_id).await;
        assert_eq!(session.version, 2);
        assert!(session.attributes.get(&attribute("kept")).is_some());
        assert!(is_good(b, &token(session_id, 1)).await);
    }
}
