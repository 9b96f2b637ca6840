//! The states of a session, from its opening to its end.

use std::time::Duration;

use serde_json::json;

use crate::support::{TestApp, open};

#[tokio::test]
async fn a_session_goes_from_connecting_to_closed() {
    let app = TestApp::new();
    let admin = app.admin();
    let request = json!({"login_id": "u", "state": "connecting", "connection_id": "c1"});
    let session = open(&admin, request).await;
    open(&admin, json!({"login_id": "v", "connection_id": "c2"})).await;
    let shown = async || admin.get(session.path()).await.value(200)["state"].clone();
    let beat = async |body| {
        let call = admin.post(session.at("/heartbeat")).json(&body);
        call.await.value(200)["state"].clone()
    };
    assert_eq!(shown().await, "connecting");
    let stats = json!({"packets_sent": 10, "packets_received": 9, "bytes_sent": 4_000, "bytes_received": 3_000,
        "retransmissions": 2, "rtt_ms": 35});
    assert_eq!(beat(json!({"stats": stats})).await, "active");
    assert_eq!(admin.get(session.path()).await.value(200)["stats"], stats);
    app.pass(Duration::from_secs(5 * 60));
    assert_eq!(shown().await, "idle");
    for query in ["state=idle&connection_id=c1", "connection_id=c1"] {
        let found = admin.get(format!("/v1/sessions?{query}")).await.value(200);
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{query}");
        assert_eq!(found["items"][0]["session_id"], session.id);
    }
    assert_eq!(beat(json!({})).await, "active");
    assert_eq!(admin.get(session.path()).await.value(200)["stats"], stats);
    let patch = |state: &str| admin.patch(session.path()).json(&json!({"state": state}));
    assert_eq!(
        patch("disconnecting").await.value(200)["state"],
        "disconnecting"
    );
    app.pass(Duration::from_secs(5 * 60));
    assert_eq!(shown().await, "disconnecting");
    assert_eq!(patch("closed").await.value(200)["state"], "closed");
    admin
        .get(session.path())
        .await
        .problem(410, "session_ended");
    let gone = admin.get("/v1/sessions?connection_id=c1").await.value(200);
    assert_eq!(gone["items"], json!([]));
}
