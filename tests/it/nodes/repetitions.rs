//! One `Idempotency-Key` sent to all nodes at once has one effect and one answer.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::gateways::Nodes;
use crate::support::open;

on_three_nodes! {
    a_session_is_opened_once,
    a_counter_is_incremented_once,
    a_service_is_registered_once,
    another_body_is_refused_on_every_node,
}

const ROUNDS: usize = 30;

/// Sends the same to every node twice, all at once; gives the one answer.
async fn send_to_all(nodes: &Nodes, key: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut sends = JoinSet::new();
    for turn in 0..6 {
        let call = nodes
            .admin(turn)
            .post(path)
            .header("Idempotency-Key", key)
            .json(body);
        sends.spawn(call.into_future());
    }
    let answers = sends.join_all().await;
    let mut told = answers
        .iter()
        .map(|answer| (answer.status.as_u16(), answer.json()));
    let first = told.next().unwrap();
    for other in told {
        assert_eq!(other, first);
    }
    first
}

async fn a_session_is_opened_once(nodes: &Nodes) {
    for round in 1..=ROUNDS {
        let body = json!({"login_id": "u"});
        let key = format!("open-{round}");
        let (status, created) = send_to_all(nodes, &key, "/v1/sessions", &body).await;
        assert_eq!(status, 201);
        let token = created["token"].as_str().unwrap();
        let verified = super::gateways::verify(&nodes.admin(round), token).await;
        assert_eq!(verified["active"], true);
        let summary = nodes.admin(round).get("/v1/logins/u").await.value(200);
        assert_eq!(summary["session_count"], round);
    }
}

async fn a_counter_is_incremented_once(nodes: &Nodes) {
    let session = open(&nodes.admin(0), json!({"login_id": "u"})).await;
    for round in 1..=ROUNDS {
        let path = session.at("/attributes/n/increment");
        let key = format!("count-{round}");
        let answer = send_to_all(nodes, &key, &path, &json!({"by": 1})).await;
        assert_eq!(answer, (200, json!({"value": round})));
    }
    let read = nodes.admin(1).get(session.path()).await.value(200);
    assert_eq!(read["attributes"]["n"], ROUNDS);
    assert_eq!(read["version"], ROUNDS + 1);
}

async fn a_service_is_registered_once(nodes: &Nodes) {
    let body =
        json!({"service_id": "shop", "service_name": "Shop", "permissions": ["session.read"]});
    let (status, made) = send_to_all(nodes, "register", "/v1/services", &body).await;
    assert_eq!(status, 201);
    let secret = made["secret"].as_str().unwrap();
    for turn in 0..3 {
        let shop = nodes.nobody(turn).as_service("shop", secret);
        shop.get("/v1/whoami").await.expect(200);
    }
    let changes = nodes.events("service.changed").await;
    let told = changes.iter().filter(|event| event["service_id"] == "shop");
    assert_eq!(told.count(), 1);
}

async fn another_body_is_refused_on_every_node(nodes: &Nodes) {
    let body = json!({"login_id": "u"});
    send_to_all(nodes, "one", "/v1/sessions", &body).await;
    let other = json!({"login_id": "other"});
    for client in nodes.admins() {
        let again = client.post("/v1/sessions").header("Idempotency-Key", "one");
        let answer = again.json(&other).await;
        answer.problem(422, "idempotency_key_reused");
    }
    let summary = nodes.admin(0).get("/v1/logins/other").await.value(200);
    assert_eq!(summary["session_count"], 0);
}
