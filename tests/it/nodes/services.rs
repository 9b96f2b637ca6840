//! What is changed of a service on one node is in force on all at once.

use serde_json::json;

use super::gateways::Nodes;
use crate::support::{Client, Opened, open};

on_three_nodes! {
    a_disabled_service_is_refused_by_all_at_once,
    a_permission_that_is_taken_away_is_gone_on_all_at_once,
    a_rotated_secret_is_in_force_on_all_at_once,
    a_removed_service_is_refused_by_all_at_once,
    one_that_is_registered_again_has_none_of_the_sessions_of_the_one_before,
}

const ROUNDS: usize = 20;

async fn register(nodes: &Nodes, service_id: &str) -> String {
    let request = json!({"service_id": service_id, "service_name": service_id, "permissions": ["session.read"]});
    let made = nodes.admin(0).post("/v1/services").json(&request).await;
    made.value(201)["secret"].as_str().unwrap().to_owned()
}

/// What each node answers to a service that lists sessions.
async fn answers(nodes: &Nodes, service_id: &str, secret: &str) -> Vec<u16> {
    let mut answers = Vec::new();
    for turn in 0..3 {
        let shop = nodes.nobody(turn).as_service(service_id, secret);
        let answer = shop.get("/v1/sessions").await;
        match answer.status.as_u16() {
            401 => drop(answer.problem(401, "unauthenticated")),
            403 => drop(answer.problem(403, "permission_denied")),
            _ => {}
        }
        answers.push(answer.status.as_u16());
    }
    answers
}

async fn update(client: &Client, change: &serde_json::Value) {
    let update = client.patch("/v1/services/shop").json(change);
    update.await.expect(200);
}

async fn a_disabled_service_is_refused_by_all_at_once(nodes: &Nodes) {
    let secret = register(nodes, "shop").await;
    for round in 0..ROUNDS {
        assert_eq!(answers(nodes, "shop", &secret).await, [200; 3]);
        update(&nodes.admin(round), &json!({"enabled": false})).await;
        assert_eq!(answers(nodes, "shop", &secret).await, [401; 3]);
        update(&nodes.admin(round + 1), &json!({"enabled": true})).await;
    }
}

async fn a_permission_that_is_taken_away_is_gone_on_all_at_once(nodes: &Nodes) {
    let secret = register(nodes, "shop").await;
    for round in 0..ROUNDS {
        assert_eq!(answers(nodes, "shop", &secret).await, [200; 3]);
        let less = json!({"permissions": ["login.read"]});
        update(&nodes.admin(round), &less).await;
        assert_eq!(answers(nodes, "shop", &secret).await, [403; 3]);
        let more = json!({"permissions": ["session.*"]});
        update(&nodes.admin(round + 1), &more).await;
    }
}

async fn a_rotated_secret_is_in_force_on_all_at_once(nodes: &Nodes) {
    let mut secret = register(nodes, "shop").await;
    for round in 0..ROUNDS {
        let rotate = nodes
            .admin(round)
            .post("/v1/services/shop/rotate-secret")
            .json(&json!({"grace_seconds": 0}));
        let rotated = rotate.await.value(200);
        assert_eq!(answers(nodes, "shop", &secret).await, [401; 3]);
        rotated["secret"].as_str().unwrap().clone_into(&mut secret);
        assert_eq!(answers(nodes, "shop", &secret).await, [200; 3]);
    }
}

async fn a_removed_service_is_refused_by_all_at_once(nodes: &Nodes) {
    for round in 0..ROUNDS {
        let service_id = format!("shop-{round}");
        let secret = register(nodes, &service_id).await;
        assert_eq!(answers(nodes, &service_id, &secret).await, [200; 3]);
        let remove = nodes
            .admin(round)
            .delete(format!("/v1/services/{service_id}"));
        remove.await.expect(204);
        assert_eq!(answers(nodes, &service_id, &secret).await, [401; 3]);
    }
}

/// A service that sees nothing but its own, registered under the same id each time.
async fn register_shop(nodes: &Nodes, turn: usize) -> String {
    let own = ["session.create", "session.read:own", "session.delete:own"];
    let request = json!({"service_id": "shop", "service_name": "Shop", "permissions": own});
    let made = nodes.admin(turn).post("/v1/services").json(&request).await;
    made.value(201)["secret"].as_str().unwrap().to_owned()
}

async fn one_that_is_registered_again_has_none_of_the_sessions_of_the_one_before(nodes: &Nodes) {
    let mut before: Vec<Opened> = Vec::new();
    for turn in 0..ROUNDS {
        let secret = register_shop(nodes, turn).await;
        let shop = |turn| nodes.nobody(turn).as_service("shop", &secret);
        let new = open(&shop(turn), json!({"login_id": "u"})).await;
        let seen = shop(turn + 1).get("/v1/sessions").await.value(200);
        let ids: Vec<_> = seen["items"].as_array().unwrap().iter().collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(ids[0]["session_id"], new.id);
        for session in &before {
            let read = shop(turn + 2).get(session.path()).await;
            read.problem(404, "session_not_found");
        }
        if turn % 2 == 0 {
            shop(turn).delete(new.path()).await.expect(204);
        }
        before.push(new);
        let removed = nodes.admin(turn).delete("/v1/services/shop").await;
        removed.expect(204);
    }
}
