//! Services: registered, listed, found, changed, removed, and their secrets rotated.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp};

const WHOAMI: &str = "/v1/whoami";

async fn post(app: &TestApp, body: &Value) -> Answer {
    app.admin().post("/v1/services").json(body).await
}

async fn patch(app: &TestApp, id: &str, body: &Value) -> Answer {
    let path = format!("/v1/services/{id}");
    app.admin().patch(path).json(body).await
}

async fn get(app: &TestApp, path: &str) -> Answer {
    app.admin().get(path).await
}

/// Calls as the service whose secret this answer shows.
fn as_told(app: &TestApp, answer: &Answer) -> Client {
    let told = answer.json();
    let id = told["service"]["service_id"].as_str().unwrap();
    app.nobody()
        .as_service(id, told["secret"].as_str().unwrap())
}

fn shop() -> Value {
    json!({"service_id": "shop", "service_name": "The shop", "permissions": ["session.*"]})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test]
async fn a_registered_service_can_be_found_and_can_call() {
    let app = TestApp::new();
    let answer = post(&app, &shop()).await.expect(201);
    assert_eq!(answer.header("location"), "/v1/services/shop");
    assert_eq!(answer.header("cache-control"), "no-store");
    let registered = answer.json();
    let service = &registered["service"];
    assert_eq!(service["service_id"], "shop");
    assert_eq!(service["service_name"], "The shop");
    assert_eq!(service["permissions"], json!(["session.*"]));
    assert_eq!(service["enabled"], true);
    assert_eq!(service["created_at"], "2026-01-31T08:00:00.000Z");
    assert_eq!(get(&app, "/v1/services/shop").await.json(), *service);
    let secret = registered["secret"].as_str().unwrap();
    assert_eq!(secret.len(), "sgs_".len() + 43);
    let me = as_told(&app, &answer).get(WHOAMI).await.expect(200);
    assert_eq!(me.json(), *service);
}

#[tokio::test]
async fn a_service_may_bring_a_strong_secret() {
    let app = TestApp::new();
    let brought = "x".repeat(32);
    let answer = post(&app, &with(shop(), "secret", json!(brought))).await;
    assert_eq!(answer.expect(201).json()["secret"], brought);
    app.nobody()
        .as_service("shop", &brought)
        .get(WHOAMI)
        .await
        .expect(200);
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_named() {
    let app = TestApp::new();
    let many: Vec<_> = std::iter::repeat_n("*", 65).collect();
    for (field, value, pointer) in [
        ("service_id", json!("a b"), "/service_id"),
        ("service_id", json!(""), "/service_id"),
        ("service_id", json!("x".repeat(65)), "/service_id"),
        ("service_name", json!(""), "/service_name"),
        ("service_name", json!(7), "/service_name"),
        (
            "permissions",
            json!(["session.read", "session.fly"]),
            "/permissions/1",
        ),
        ("permissions", json!(["token.verify:own"]), "/permissions/0"),
        ("permissions", json!(many), "/permissions"),
        ("secret", json!("x".repeat(31)), "/secret"),
        ("secret", json!("ä".repeat(32)), "/secret"),
        ("enabled", json!(true), "/enabled"),
    ] {
        let answer = post(&app, &with(shop(), field, value)).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let nameless = json!({"service_id": "shop", "permissions": []});
    post(&app, &nameless).await.problem(400, "invalid_request");
    get(&app, "/v1/services/shop")
        .await
        .problem(404, "service_not_found");
}

#[tokio::test]
async fn a_short_secret_is_not_repeated_in_the_answer() {
    let app = TestApp::new();
    let answer = post(&app, &with(shop(), "secret", json!("hush-hush"))).await;
    assert!(!String::from_utf8_lossy(&answer.body).contains("hush"));
}

#[tokio::test]
async fn an_id_is_registered_once() {
    let app = TestApp::new();
    let body = with(shop(), "secret", json!("y".repeat(40)));
    post(&app, &body).await.expect(201);
    for again in [
        body.clone(),
        with(body, "permissions", json!(["*"])),
        shop(),
    ] {
        post(&app, &again).await.problem(409, "service_exists");
    }
    let found = get(&app, "/v1/services/shop").await.json();
    assert_eq!(found["permissions"], json!(["session.*"]));
    app.nobody()
        .as_service("shop", &"y".repeat(40))
        .get(WHOAMI)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_list_shows_every_service_once_and_no_secret() {
    let app = TestApp::new();
    for number in 0..7 {
        app.service(&format!("shop-{number}"), &[]).await;
    }
    let mut ids = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = get(&app, &format!("/v1/services{query}"))
            .await
            .expect(200)
            .json();
        assert!(!page.to_string().contains("secret"));
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        ids.extend(
            items
                .iter()
                .map(|item| item["service_id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=3&cursor={cursor}");
    }
    let wanted = [
        "admin", "shop-0", "shop-1", "shop-2", "shop-3", "shop-4", "shop-5", "shop-6",
    ];
    assert_eq!(ids, wanted);
}

#[tokio::test]
async fn a_list_refuses_what_is_no_limit_and_no_cursor() {
    let app = TestApp::new();
    for (query, part) in [
        ("limit=0", "`limit`"),
        ("limit=1001", "`limit`"),
        ("limit=ten", "`limit`"),
        ("limit=", "`limit`"),
        ("limit=1&limit=1", "`limit`"),
        ("cursor=%C3%A4", "`cursor`"),
        ("cursor=AAAA", "`cursor`"),
    ] {
        let answer = get(&app, &format!("/v1/services?{query}")).await;
        let problem = answer.problem(400, "invalid_request");
        assert!(
            problem["detail"].as_str().unwrap().contains(part),
            "{query}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_change_changes_what_it_names() {
    let app = TestApp::new();
    post(&app, &shop()).await.expect(201);
    app.pass(Duration::from_secs(5));
    let renamed = patch(&app, "shop", &json!({"service_name": "Shop 2"})).await;
    let renamed = renamed.expect(200).json();
    assert_eq!(renamed["service_name"], "Shop 2");
    assert_eq!(renamed["permissions"], json!(["session.*"]));
    assert_eq!(renamed["updated_at"], "2026-01-31T08:00:05.000Z");
    let limited = patch(&app, "shop", &json!({"permissions": []}))
        .await
        .json();
    assert_eq!(limited["permissions"], json!([]));
    assert_eq!(get(&app, "/v1/services/shop").await.json(), limited);
}

#[tokio::test]
async fn new_permissions_are_in_force_at_once() {
    let app = TestApp::new();
    let reader = app.service("reader", &["service.read"]).await;
    reader.get("/v1/services").await.expect(200);
    let fewer = json!({"permissions": []});
    patch(&app, "reader", &fewer).await.expect(200);
    let refused = reader.get("/v1/services").await;
    refused.problem(403, "permission_denied");
}

#[tokio::test]
async fn a_change_that_is_not_understood_changes_nothing() {
    let app = TestApp::new();
    post(&app, &shop()).await.expect(201);
    let before = get(&app, "/v1/services/shop").await.json();
    for (body, pointer) in [
        (json!({"secret": "z".repeat(40)}), "/secret"),
        (json!({"service_id": "other"}), "/service_id"),
        (json!({"service_name": null}), "/service_name"),
        (json!({"permissions": null}), "/permissions"),
        (json!({"enabled": null}), "/enabled"),
        (json!({"enabled": "no"}), "/enabled"),
    ] {
        let answer = patch(&app, "shop", &body).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    assert_eq!(get(&app, "/v1/services/shop").await.json(), before);
}

#[tokio::test]
async fn a_removed_service_is_gone() {
    let app = TestApp::new();
    let removed = app.service("shop", &["*"]).await;
    let path = "/v1/services/shop";
    let answer = app.admin().delete(path).await.expect(204);
    assert!(answer.body.is_empty());
    removed.get(WHOAMI).await.problem(401, "unauthenticated");
    let not_found = "service_not_found";
    get(&app, path).await.problem(404, not_found);
    app.admin().delete(path).await.problem(404, not_found);
    patch(&app, "shop", &json!({}))
        .await
        .problem(404, not_found);
}

#[tokio::test]
async fn a_service_may_turn_itself_off() {
    let app = TestApp::new();
    let shop = app.service("shop", &["service.manage"]).await;
    let off = json!({"enabled": false});
    shop.patch("/v1/services/shop").json(&off).await.expect(200);
    shop.get(WHOAMI).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_rotation_answers_a_new_secret() {
    let app = TestApp::new();
    let old = app.service("shop", &[]).await;
    let path = "/v1/services/shop/rotate-secret";
    let answer = app.admin().post(path).await.expect(200);
    assert_eq!(answer.json()["service"]["service_id"], "shop");
    old.get(WHOAMI).await.problem(401, "unauthenticated");
    as_told(&app, &answer).get(WHOAMI).await.expect(200);
    let nobody = app.admin().post("/v1/services/nobody/rotate-secret").await;
    nobody.problem(404, "service_not_found");
}

#[tokio::test]
async fn a_grace_is_zero_to_thirty_days() {
    let app = TestApp::new();
    app.service("shop", &[]).await;
    let rotate = |grace: Value| {
        let call = app.admin().post("/v1/services/shop/rotate-secret");
        call.json(&json!({"grace_seconds": grace}))
    };
    for grace in [json!(2_592_001), json!(-1), json!(1.5), json!("1h")] {
        let problem = rotate(grace).await.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], "/grace_seconds");
    }
    rotate(json!(2_592_000)).await.expect(200);
}

#[tokio::test]
async fn the_built_in_service_stays_what_it_is() {
    let app = TestApp::new();
    let path = "/v1/services/admin";
    let before = get(&app, path).await.expect(200).json();
    let taken = with(shop(), "service_id", json!("admin"));
    post(&app, &taken).await.problem(409, "service_exists");
    let built_in = "service_built_in";
    let off = patch(&app, "admin", &json!({"enabled": false})).await;
    off.problem(409, built_in);
    app.admin().delete(path).await.problem(409, built_in);
    let rotate = app.admin().post(format!("{path}/rotate-secret"));
    rotate.await.problem(409, built_in);
    assert_eq!(get(&app, path).await.json(), before);
}

#[tokio::test]
async fn an_id_that_breaks_its_rules_is_a_bad_request() {
    let app = TestApp::new();
    for id in [
        "a%20b",
        "%2F",
        "%00",
        "..%2Fadmin",
        "%E2%80%AE",
        &"x".repeat(300),
    ] {
        let answer = get(&app, &format!("/v1/services/{id}")).await;
        answer.problem(400, "invalid_request");
    }
}
