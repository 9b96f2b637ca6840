//! Rotations at all nodes, all at once and beside ends and writes: one successor, no ghost, nothing lost.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::task::JoinSet;

use super::gateways::{Nodes, verify};
use crate::support::{open, size};

on_three_nodes! {
    parallel_rotations_on_all_nodes_bring_one_successor,
    a_rotation_beside_an_end_elsewhere_leaves_no_good_token,
    rotations_beside_writes_elsewhere_lose_nothing,
}

/// How often; `SGW_TEST_ROTATIONS` asks for more.
fn rounds() -> usize {
    size("SGW_TEST_ROTATIONS", 10)
}

async fn parallel_rotations_on_all_nodes_bring_one_successor(nodes: &Nodes) {
    let session = open(&nodes.admin(0), json!({"login_id": "u"})).await;
    let mut token = session.token.clone();
    for round in 1..=rounds() {
        let mut rotations = JoinSet::new();
        for turn in 0..50 {
            let call = nodes.admin(turn).post("/v1/tokens/rotate");
            rotations.spawn(call.json(&json!({"token": token})).into_future());
        }
        let answers = rotations.join_all().await;
        let successors: BTreeSet<String> = answers
            .into_iter()
            .map(|answer| answer.value(200)["token"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(successors.len(), 1, "round {round}");
        let successor = successors.first().unwrap().clone();
        for token in [&token, &successor] {
            assert_eq!(verify(&nodes.admin(round), token).await["active"], true);
        }
        token = successor;
    }
    let told = nodes.events("session.rotated").await;
    assert_eq!(told.len(), rounds());
}

async fn a_rotation_beside_an_end_elsewhere_leaves_no_good_token(nodes: &Nodes) {
    for round in 0..60 {
        let session = open(&nodes.admin(round), json!({"login_id": "u"})).await;
        let rotate = nodes.admin(round + 1).post("/v1/tokens/rotate");
        let rotate = rotate.json(&json!({"token": session.token}));
        let end = match round % 2 {
            0 => nodes.admin(round + 2).delete(session.path()),
            _ => nodes.admin(round + 2).delete("/v1/logins/u/sessions"),
        };
        let (rotated, ended) = tokio::join!(tokio::spawn(rotate.into_future()), end);
        assert!(ended.status.is_success());
        let rotated = rotated.unwrap();
        let mut tokens = vec![session.token.clone()];
        if rotated.status == 200 {
            tokens.push(rotated.json()["token"].as_str().unwrap().to_owned());
        } else {
            rotated.problem(410, "session_ended");
        }
        for (turn, token) in tokens.iter().enumerate() {
            for client in [
                nodes.admin(turn),
                nodes.admin(turn + 1),
                nodes.admin(turn + 2),
            ] {
                assert_eq!(
                    verify(&client, token).await["active"],
                    false,
                    "round {round}"
                );
            }
        }
    }
}

async fn rotations_beside_writes_elsewhere_lose_nothing(nodes: &Nodes) {
    const WRITES: usize = 100;
    let session = open(&nodes.admin(0), json!({"login_id": "u"})).await;
    let mut writes = JoinSet::new();
    for turn in 0..WRITES {
        let put = nodes
            .admin(turn)
            .put(session.at(&format!("/attributes/a{turn}")));
        writes.spawn(put.json(&json!(turn)).into_future());
    }
    let mut token = session.token.clone();
    for turn in 0..20 {
        let rotate = nodes.admin(turn).post("/v1/tokens/rotate");
        let rotated = rotate.json(&json!({"token": token})).await.value(200);
        rotated["token"].as_str().unwrap().clone_into(&mut token);
    }
    for answer in writes.join_all().await {
        answer.expect(201);
    }
    let verified = verify(&nodes.admin(1), &token).await;
    let written = verified["session"]["attributes"].as_object().unwrap();
    assert_eq!(written.len(), WRITES);
    assert_eq!(verified["session"]["version"], WRITES + 1);
    assert_eq!(nodes.events("session.rotated").await.len(), 20);
}
