//! Login ids that mean something to Redis or to a URL mean nothing here.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::gateways::Nodes;
use crate::support::open;

on_three_nodes! {
    odd_login_ids_are_kept_apart,
}

fn odd() -> Vec<String> {
    let mut odd: Vec<String> = [
        "{",
        "}",
        ":",
        "{}",
        "{}{a}",
        "a{b}c",
        "{7f}",
        "a/b",
        "a%2Fb",
        "%2F",
        " ",
        "a b",
        " a b",
        "*",
        "?",
        "[a-z]",
        "\\",
        "ana",
        "Ana",
        "ánа",
        "日本語",
        "e\u{301}",
        "é",
        "👩‍👩‍👧",
        "sgw:{00}:i",
        "u:s:1",
    ]
    .map(str::to_owned)
    .to_vec();
    odd.push("x".repeat(256));
    odd.push("x".repeat(255));
    odd.push("é".repeat(128));
    odd
}

async fn odd_login_ids_are_kept_apart(nodes: &Nodes) {
    let mut logins = Vec::new();
    for (turn, login) in odd().into_iter().enumerate() {
        let mut ids = Vec::new();
        for device in ["web", "ios"] {
            let request = json!({"login_id": login, "device": device});
            ids.push(open(&nodes.admin(turn), request).await.id);
        }
        ids.sort_unstable();
        logins.push((login, ids));
    }
    for (ended, (login, ids)) in logins.iter().enumerate() {
        for (turn, (other, others_ids)) in logins.iter().enumerate() {
            let live: &[String] = if turn < ended { &[] } else { others_ids };
            assert_eq!(listed(nodes, turn, other).await, live, "{other:?}");
        }
        let path = format!("/v1/logins/{}/sessions", encoded(login));
        let answer = nodes.admin(ended + 1).delete(path).await.value(200);
        let told = answer["session_ids"].as_array().unwrap();
        assert_eq!(told.len(), ids.len(), "{login:?}");
        for id in ids {
            assert!(told.contains(&json!(id)), "{login:?}");
            let read = nodes.admin(ended).get(format!("/v1/sessions/{id}")).await;
            read.problem(410, "session_ended");
        }
    }
}

fn encoded(login: &str) -> String {
    utf8_percent_encode(login, NON_ALPHANUMERIC).to_string()
}

async fn listed(nodes: &Nodes, turn: usize, login: &str) -> Vec<String> {
    let path = format!("/v1/logins/{}/sessions", encoded(login));
    let list = nodes.admin(turn).get(path).await.value(200);
    let items = list["items"].as_array().unwrap();
    for item in items {
        assert_eq!(item["login_id"], login);
    }
    let ids = items.iter().map(|item| item["session_id"].as_str());
    let mut ids: Vec<_> = ids.map(|id| id.unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}
