//! Which limit counts when a session is opened.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Opened, TestApp, open};

const SECOND: Duration = Duration::from_secs(1);
const TWO: &[(&str, &str)] = &[("SGW_LOGIN_MAX_SESSIONS", "2")];

async fn evicted(client: &Client, request: Value) -> Value {
    let created = client.post("/v1/sessions").json(&request).await.value(201);
    created["evicted"].clone()
}

/// Two sessions, opened one after the other; time goes on after each.
async fn two(app: &TestApp, client: &Client) -> [Opened; 2] {
    let first = open(client, json!({"login_id": "u", "device": "web"})).await;
    app.pass(SECOND);
    let second = open(client, json!({"login_id": "u", "device": "ios"})).await;
    app.pass(SECOND);
    [first, second]
}

/// The clock stands still, so all are opened within one millisecond.
#[tokio::test]
async fn sessions_of_one_millisecond_list_and_give_way_in_the_order_opened() {
    let app = TestApp::new();
    let admin = app.admin();
    for round in 0..150 {
        let login = format!("u{round}");
        let mut opened = Vec::new();
        for turn in 0..4 {
            let open = admin.post("/v1/sessions").json(&json!({"login_id": login}));
            // One with a key has its id from the seed of its first attempt.
            let created = if (round + turn) % 4 == 0 {
                let key = format!("{round}-{turn}");
                open.header("idempotency-key", &key).await.value(201)
            } else {
                open.await.value(201)
            };
            opened.push(created["session"]["session_id"].clone());
        }
        let list = admin.get(format!("/v1/logins/{login}/sessions"));
        let list = list.await.value(200);
        let items = list["items"].as_array().unwrap().iter().rev();
        let listed: Vec<_> = items.map(|item| item["session_id"].clone()).collect();
        assert_eq!(listed, opened);
        let limited = json!({"login_id": login, "limit": {"max": 3}});
        assert_eq!(evicted(&admin, limited).await, json!(opened[..2]));
    }
}

#[tokio::test]
async fn without_a_limit_there_is_none() {
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..20 {
        assert_eq!(evicted(&admin, json!({"login_id": "u"})).await, json!([]));
    }
}

#[tokio::test]
async fn the_default_counts_and_the_device_that_gives_way_learns_that_it_was_replaced() {
    let app = TestApp::with(TWO);
    let admin = app.admin();
    let [first, second] = two(&app, &admin).await;
    assert_eq!(
        evicted(&admin, json!({"login_id": "u"})).await,
        json!([first.id])
    );
    let verified = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": first.token}))
        .await
        .value(200);
    assert_eq!(verified["active"], false);
    assert_eq!(verified["reason"], "replaced");
    admin.get(second.path()).await.value(200);
}

#[tokio::test]
async fn the_default_may_count_devices_and_refuse() {
    let app = TestApp::with(&[
        ("SGW_LOGIN_MAX_SESSIONS", "1"),
        ("SGW_LOGIN_LIMIT_PER", "device"),
        ("SGW_LOGIN_OVERFLOW", "refuse"),
    ]);
    let admin = app.admin();
    two(&app, &admin).await;
    admin
        .post("/v1/sessions")
        .json(&json!({"login_id": "u", "device": "web"}))
        .await
        .problem(409, "session_limit_reached");
}

#[tokio::test]
async fn the_default_may_let_the_least_active_give_way() {
    let app = TestApp::with(&[
        ("SGW_LOGIN_MAX_SESSIONS", "2"),
        ("SGW_LOGIN_OVERFLOW", "evict_least_active"),
    ]);
    let admin = app.admin();
    let [first, second] = two(&app, &admin).await;
    admin
        .post(first.at("/heartbeat"))
        .json(&json!({}))
        .await
        .value(200);
    assert_eq!(
        evicted(&admin, json!({"login_id": "u"})).await,
        json!([second.id])
    );
}

#[tokio::test]
async fn the_limit_of_the_request_wins_over_that_of_the_service_over_the_default() {
    let app = TestApp::with(TWO);
    let admin = app.admin();
    let shop = app.service("shop", &["session.*"]).await;
    let set = |limit: Value| {
        admin
            .patch("/v1/services/shop")
            .json(&json!({"session_limit": limit}))
    };
    let patched = set(json!({"max": 3})).await.value(200);
    let limit = json!({"max": 3, "per": "login", "overflow": "evict_oldest"});
    assert_eq!(patched["session_limit"], limit);
    assert_eq!(
        shop.get("/v1/whoami").await.value(200)["session_limit"],
        limit
    );
    let [first, second] = two(&app, &shop).await;
    assert_eq!(evicted(&shop, json!({"login_id": "u"})).await, json!([]));
    let asked = json!({"login_id": "u", "limit": {"max": 4}});
    assert_eq!(evicted(&shop, asked).await, json!([]));
    let by_service = evicted(&shop, json!({"login_id": "u"})).await;
    assert_eq!(by_service, json!([first.id, second.id]));
    set(json!({"max": 0})).await.value(200);
    assert_eq!(evicted(&shop, json!({"login_id": "u"})).await, json!([]));
    let back = set(Value::Null).await.value(200);
    assert_eq!(back["session_limit"], Value::Null);
    let by_default = evicted(&shop, json!({"login_id": "u"})).await;
    assert_eq!(by_default.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_service_is_registered_with_a_limit_that_another_change_keeps() {
    let app = TestApp::new();
    let admin = app.admin();
    let request = json!({"service_id": "shop", "service_name": "Shop", "permissions": [],
        "session_limit": {"max": 1, "per": "device", "overflow": "refuse"}});
    let registered = admin.post("/v1/services").json(&request).await.value(201);
    assert_eq!(
        registered["service"]["session_limit"],
        request["session_limit"]
    );
    let renamed = admin
        .patch("/v1/services/shop")
        .json(&json!({"service_name": "Store"}))
        .await
        .value(200);
    assert_eq!(renamed["session_limit"], request["session_limit"]);
    for limit in [
        json!({"max": 201}),
        json!({}),
        json!({"max": 1, "per": "user"}),
    ] {
        let body = json!({"session_limit": limit});
        let refused = admin.patch("/v1/services/shop").json(&body).await;
        refused.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_limit_is_at_most_200() {
    let app = TestApp::new();
    let admin = app.admin();
    let open = |max: usize| {
        let request = json!({"login_id": "u", "limit": {"max": max}});
        admin.post("/v1/sessions").json(&request)
    };
    open(200).await.value(201);
    let refused = open(201).await.problem(400, "invalid_request");
    assert_eq!(refused["errors"][0]["pointer"], "/limit/max");
    assert_eq!(refused["errors"][0]["detail"], "must be 1 to 200");
}

#[tokio::test]
async fn what_a_service_asks_for_reaches_no_further_than_it_may_end_sessions() {
    let app = TestApp::new();
    let admin = app.admin();
    let single = || json!({"login_id": "u", "limit": {"max": 1}});
    open(&admin, json!({"login_id": "u"})).await;
    for permissions in [
        &["session.create"][..],
        &["session.create", "session.delete:own"],
    ] {
        let name = format!("own-{}", permissions.len());
        let service = app.service(&name, permissions).await;
        let own = open(&service, json!({"login_id": "u"})).await;
        assert_eq!(evicted(&service, single()).await, json!([own.id]));
        let refuse = json!({"login_id": "u", "limit": {"max": 1, "overflow": "refuse"}});
        let refused = service.post("/v1/sessions").json(&refuse).await;
        refused.problem(409, "session_limit_reached");
    }
    let service = app
        .service("all", &["session.create", "session.delete"])
        .await;
    let all = evicted(&service, single()).await;
    assert_eq!(all.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_limit_that_an_operator_sets_counts_the_sessions_of_all_services() {
    let app = TestApp::with(&[("SGW_LOGIN_MAX_SESSIONS", "1")]);
    let admin = app.admin();
    let service = app.service("app", &["session.create"]).await;
    let first = open(&admin, json!({"login_id": "u"})).await;
    let second = service.post("/v1/sessions").json(&json!({"login_id": "u"}));
    let second = second.await.value(201);
    assert_eq!(second["evicted"], json!([first.id]));
    let body = json!({"session_limit": {"max": 1}});
    admin.patch("/v1/services/app").json(&body).await.value(200);
    let other = open(&admin, json!({"login_id": "v"})).await;
    let asked = json!({"login_id": "v"});
    assert_eq!(evicted(&service, asked).await, json!([other.id]));
}

#[tokio::test]
async fn a_login_of_more_than_200_sessions_is_told_how_many_and_how_to_end_them() {
    let app = TestApp::new();
    let admin = app.admin();
    let mut ids = Vec::new();
    for _ in 0..230 {
        ids.push(open(&admin, json!({"login_id": "u"})).await.id);
    }
    for limit in [
        json!({"max": 200, "overflow": "refuse"}),
        json!({"max": 200, "overflow": "evict_least_active"}),
        json!({"max": 200, "per": "device"}),
        json!({"max": 30}),
    ] {
        let request = json!({"login_id": "u", "limit": limit});
        let refused = admin.post("/v1/sessions").json(&request).await;
        let refused = refused.problem(409, "session_limit_reached");
        assert_eq!(refused["count"], 230);
        let detail = refused["detail"].as_str().unwrap();
        for way in [
            "DELETE /v1/logins/{login_id}/sessions",
            "POST /v1/sessions/bulk-delete",
        ] {
            assert!(detail.contains(way), "{detail}");
        }
    }
    let request = json!({"login_id": "u", "limit": {"max": 31}});
    assert_eq!(evicted(&admin, request).await, json!(ids[..200]));
    let exact = json!({"login_id": "u", "limit": {"max": 5, "overflow": "refuse"}});
    let refused = admin.post("/v1/sessions").json(&exact).await;
    let refused = refused.problem(409, "session_limit_reached");
    assert_eq!(refused.get("count"), None);
}
