//! An id that is registered again is another service.

use serde_json::json;

use crate::support::{TestApp, open};

#[tokio::test]
async fn a_service_that_is_registered_again_has_none_of_the_sessions_of_the_one_before() {
    let app = TestApp::new();
    let grants = [
        "session.create",
        "session.read:own",
        "session.update:own",
        "session.delete:own",
        "attribute.write:own",
    ];
    let first = app.service("shop", &grants).await;
    let [lives, ended] = [
        open(&first, json!({"login_id": "u"})).await,
        open(&first, json!({"login_id": "u"})).await,
    ];
    first.delete(ended.path()).await.expect(204);
    app.admin().delete("/v1/services/shop").await.expect(204);
    // At the same moment.
    let second = app.service("shop", &grants).await;
    for session in [&lives, &ended] {
        let merge = json!({"a": 1});
        for call in [
            second.get(session.path()),
            second.delete(session.path()),
            second.patch(session.at("/attributes")).json(&merge),
            second.post(session.at("/refresh")),
        ] {
            call.await.problem(404, "session_not_found");
        }
    }
    let bulk = second.post("/v1/sessions/bulk-delete");
    let bulk = bulk.json(&json!({"filter": {"service_id": "shop"}})).await;
    assert_eq!(bulk.value(200)["count"], 0);
    let limited = json!({"login_id": "u", "limit": {"max": 1}});
    let opened = second.post("/v1/sessions").json(&limited).await.value(201);
    assert_eq!(opened["evicted"], json!([]));
    let own = second.get("/v1/sessions").await.value(200);
    assert_eq!(own["items"], json!([opened["session"]]));
    app.admin().get(lives.path()).await.expect(200);
}
