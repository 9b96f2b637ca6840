//! Limits of a login or a device are exact, on however many nodes its sessions are opened at once.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::gateways::Nodes;

on_three_nodes! {
    a_limit_of_a_login_is_exact,
    a_limit_of_a_device_is_exact,
    a_quota_of_live_sessions_is_of_all_nodes,
}

const OPENED_AT_ONCE: usize = 100;

async fn a_limit_of_a_login_is_exact(nodes: &Nodes) {
    for max in [1, 3] {
        for overflow in ["evict_oldest", "evict_least_active", "refuse"] {
            let login = format!("{max} {overflow}");
            open_too_many(nodes, &login, "login", overflow, max).await;
            let live = live_sessions(nodes, &login).await;
            assert_eq!(live.len(), max, "{login}");
        }
    }
}

async fn a_limit_of_a_device_is_exact(nodes: &Nodes) {
    for max in [1, 3] {
        for overflow in ["evict_oldest", "evict_least_active", "refuse"] {
            let login = format!("{max} {overflow}");
            let tv = json!({"login_id": login, "device": "tv"});
            let open = nodes.admin(max).post("/v1/sessions");
            let tv = open.json(&tv).await.value(201)["session"].clone();
            open_too_many(nodes, &login, "device", overflow, max).await;
            let mut live = live_sessions(nodes, &login).await;
            assert!(live.remove(&id(&tv["session_id"])), "another device");
            assert_eq!(live.len(), max, "{login}");
        }
    }
}

fn id(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn live_sessions(nodes: &Nodes, login: &str) -> BTreeSet<String> {
    let login = login.replace(' ', "%20");
    let list = nodes.admin(0).get(format!("/v1/logins/{login}/sessions"));
    let list = list.await.value(200);
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| id(&item["session_id"])).collect()
}

/// Opens sessions of one device at all nodes. Each is live, or refused, or named by exactly one that took its place.
async fn open_too_many(nodes: &Nodes, login: &str, per: &str, overflow: &str, max: usize) {
    let limit = json!({"max": max, "per": per, "overflow": overflow});
    let request = json!({"login_id": login, "device": "web", "limit": limit});
    let mut opens = JoinSet::new();
    for turn in 0..OPENED_AT_ONCE {
        let open = nodes.admin(turn).post("/v1/sessions").json(&request);
        opens.spawn(open.into_future());
    }
    let (mut opened, mut evicted) = (BTreeSet::new(), BTreeSet::new());
    for answer in opens.join_all().await {
        if answer.status == 409 {
            assert_eq!(overflow, "refuse");
            answer.problem(409, "session_limit_reached");
            continue;
        }
        let created = answer.value(201);
        opened.insert(id(&created["session"]["session_id"]));
        for gone in created["evicted"].as_array().unwrap() {
            assert!(evicted.insert(id(gone)), "{gone} is named twice");
        }
    }
    let live = live_sessions(nodes, login).await;
    let expected = if overflow == "refuse" {
        max
    } else {
        OPENED_AT_ONCE
    };
    assert_eq!(opened.len(), expected);
    assert_eq!(evicted.len(), expected - max);
    assert!(opened.difference(&evicted).all(|id| live.contains(id)));
    for gone in &evicted {
        let answer = nodes.admin(1).get(format!("/v1/sessions/{gone}")).await;
        let ended = answer.problem(410, "session_ended")["ended"].clone();
        assert_eq!(ended["reason"], "replaced");
    }
}

async fn a_quota_of_live_sessions_is_of_all_nodes(nodes: &Nodes) {
    const MOST: usize = 12;
    /// How old a count may be.
    const OLD: Duration = Duration::from_secs(5);
    let grants = ["session.create", "session.read", "session.delete"];
    let request = json!({"service_id": "shop", "service_name": "Shop", "permissions": grants,
        "quotas": {"live_sessions": MOST}});
    let made = nodes.admin(0).post("/v1/services").json(&request).await;
    let secret = made.value(201)["secret"].as_str().unwrap().to_owned();
    let shop = |turn: usize| nodes.nobody(turn).as_service("shop", &secret);
    let open = |turn: usize| {
        let call = shop(turn).post("/v1/sessions");
        call.json(&json!({"login_id": format!("u{turn}")}))
    };
    for _ in 0..2 {
        for turn in 0..MOST {
            open(turn).await.expect(201);
        }
        sleep(OLD).await;
        for turn in 0..3 {
            let refused = open(turn).await.problem(429, "quota_exceeded");
            assert_eq!(refused["quota"], "live_sessions");
        }
        // What another node has ended makes room at once.
        for turn in 0..MOST {
            let end = shop(turn + 1).delete(format!("/v1/logins/u{turn}/sessions"));
            end.await.expect(200);
        }
    }
    open(0).await.expect(201);
}
