//! Bans and bulk deletions beside opens on all nodes: nobody slips through.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::gateways::{Nodes, verify};
use crate::support::{Answer, Opened, open};

on_three_nodes! {
    after_a_ban_nobody_is_in_and_nobody_gets_in,
    after_a_bulk_deletion_nothing_older_lives,
}

const OPENED_AT_ONCE: usize = 60;

/// Opens sessions at all nodes at once, and tells how each open was answered.
fn open_many(nodes: &Nodes, request: &Value) -> JoinSet<Answer> {
    let mut opens = JoinSet::new();
    for turn in 0..OPENED_AT_ONCE {
        let open = nodes.admin(turn).post("/v1/sessions").json(request);
        opens.spawn(open.into_future());
    }
    opens
}

async fn after_a_ban_nobody_is_in_and_nobody_gets_in(nodes: &Nodes) {
    for round in 0..10 {
        let login = format!("u{round}");
        let request = json!({"login_id": login});
        let before = open(&nodes.admin(round), request.clone()).await;
        let opens = open_many(nodes, &request);
        let ban = nodes
            .admin(round + 1)
            .put(format!("/v1/logins/{login}/ban"));
        ban.json(&json!({"reason": "spam"})).await.expect(200);
        for client in nodes.admins() {
            let late = client.post("/v1/sessions").json(&request).await;
            late.problem(403, "login_banned");
        }
        let mut opened = vec![before];
        for answer in opens.join_all().await {
            match answer.status.as_u16() {
                201 => opened.push(Opened::of(&answer.json())),
                _ => drop(answer.problem(403, "login_banned")),
            }
        }
        for (turn, client) in nodes.admins().iter().enumerate() {
            let login = client.get(format!("/v1/logins/{login}")).await.value(200);
            assert_eq!(login["session_count"], 0, "round {round}");
            for session in opened.iter().skip(turn).step_by(3) {
                let verified = verify(client, &session.token).await;
                assert_eq!(verified["reason"], "banned", "round {round}");
            }
        }
    }
}

async fn after_a_bulk_deletion_nothing_older_lives(nodes: &Nodes) {
    let mut ended = 0;
    for round in 0..10 {
        let mut older = BTreeSet::new();
        for turn in 0..6 {
            let request = json!({"login_id": format!("u{turn}"), "device": "tv"});
            older.insert(open(&nodes.admin(turn), request).await.id);
        }
        let opens = open_many(nodes, &json!({"login_id": "v", "device": "tv"}));
        let bulk = nodes.admin(round).post("/v1/sessions/bulk-delete");
        let filter = json!({"filter": {"device": "tv"}, "reason": "admin"});
        let told = bulk.json(&filter).await.value(200);
        ended += told["count"].as_u64().unwrap();
        for session in &older {
            let read = nodes
                .admin(round + 1)
                .get(format!("/v1/sessions/{session}"));
            let problem = read.await.problem(410, "session_ended");
            assert_eq!(problem["ended"]["reason"], "admin");
        }
        for answer in opens.join_all().await {
            answer.expect(201);
        }
    }
    let bulk = nodes.admin(0).post("/v1/sessions/bulk-delete");
    let told = bulk
        .json(&json!({"filter": {"device": "tv"}}))
        .await
        .value(200);
    ended += told["count"].as_u64().unwrap();
    let events = nodes.events("session.ended").await;
    let ids: BTreeSet<_> = events
        .iter()
        .map(|event| event["session_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 10 * (6 + OPENED_AT_ONCE));
    assert_eq!(events.len(), ids.len());
    assert_eq!(ended, ids.len() as u64);
}
