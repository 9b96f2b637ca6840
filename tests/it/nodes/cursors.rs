//! Cursors that one node made are those of all.

use serde_json::json;

use super::gateways::Nodes;
use crate::support::open;

on_three_nodes! {
    a_list_goes_on_at_another_node,
}

async fn a_list_goes_on_at_another_node(nodes: &Nodes) {
    let mut opened = Vec::new();
    for number in 0..7 {
        opened.push(
            open(&nodes.admin(number), json!({"login_id": "u"}))
                .await
                .id,
        );
    }
    let mut listed = Vec::new();
    let mut path = "/v1/sessions?limit=1".to_owned();
    for turn in 0.. {
        let page = nodes.admin(turn).get(&path).await.value(200);
        let items = page["items"].as_array().unwrap().iter();
        listed.extend(items.map(|item| item["session_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/sessions?limit=1&cursor={cursor}");
    }
    listed.sort_unstable();
    opened.sort_unstable();
    assert_eq!(listed, opened);
}
