//! One token sent to all nodes for rotation, all at once: one successor.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::task::JoinSet;

use super::gateways::{Nodes, verify};
use crate::support::open;

on_three_nodes! {
    parallel_rotations_on_all_nodes_bring_one_successor,
}

/// How often; `SGW_TEST_ROTATIONS` asks for more.
#[expect(
    clippy::disallowed_methods,
    reason = "a longer run is asked for by the environment"
)]
fn rounds() -> usize {
    let wanted = std::env::var("SGW_TEST_ROTATIONS");
    wanted.map_or(10, |text| text.parse().expect("SGW_TEST_ROTATIONS"))
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
