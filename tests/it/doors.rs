//! What those see who may not: of the state of a node, of services, of permissions.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::ConnectInfo;
use serde_json::{Value, json};
use session_gateway::http::app::{app as app_of, app_and_metrics};
use session_gateway::http::state::AppState;
use session_gateway::model::id::ServiceId;
use session_gateway::model::quota::Quotas;
use session_gateway::model::service::{Manager, ServiceName};
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::services::NewService;

use crate::support::{ADMIN_SECRET, Answer, Client, TestApp};

/// Calls from an address.
fn from(state: &AppState, address: &str) -> Client {
    let peer = SocketAddr::new(address.parse().unwrap(), 54_321);
    Client::in_process(app_of(state.clone()).layer(Extension(ConnectInfo(peer))))
}

#[tokio::test]
async fn metrics_are_for_this_machine_for_networks_that_are_set_and_for_services_that_read_services()
 {
    let app = TestApp::with(&[("SGW_METRICS_ALLOW", "10.0.5.0/24,::ffff:192.0.2.7")]);
    for near in [
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "::ffff:127.0.0.1",
        "10.0.5.9",
        "192.0.2.7",
    ] {
        from(&app.state, near).get("/metrics").await.expect(200);
    }
    app.service("reader", &["service.read"]).await;
    let rotated = app.admin().post("/v1/services/reader/rotate-secret").await;
    let secret = rotated.value(200)["secret"].as_str().unwrap().to_owned();
    app.service("shop", &["session.*"]).await;
    let rotated = app.admin().post("/v1/services/shop/rotate-secret").await;
    let other = rotated.value(200)["secret"].as_str().unwrap().to_owned();
    for far in ["10.0.6.9", "203.0.113.9", "2001:db8::1"] {
        let far = from(&app.state, far);
        let refused = far.get("/metrics").await;
        refused.problem(401, "unauthenticated");
        assert!(refused.header("www-authenticate").starts_with("Basic"));
        far.as_service("reader", &secret)
            .get("/metrics")
            .await
            .expect(200);
        for (id, secret) in [
            ("reader", "wrong"),
            ("nobody", secret.as_str()),
            ("shop", other.as_str()),
        ] {
            let answer = far.as_service(id, secret).get("/metrics").await;
            answer.problem(401, "unauthenticated");
        }
    }
    let nowhere = Client::in_process(app_of(app.state.clone()));
    nowhere
        .get("/metrics")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn metrics_apart_ask_nobody() {
    let app = TestApp::new();
    let (_, metrics) = app_and_metrics(app.state.clone());
    Client::in_process(metrics)
        .get("/metrics")
        .await
        .expect(200);
}

#[tokio::test]
async fn strangers_learn_whether_the_gateway_is_ready_and_no_more() {
    let app = TestApp::new();
    let stranger = from(&app.state, "203.0.113.9");
    let ready = stranger.get("/readyz").await.value(200);
    assert_eq!(ready, json!({"status": "ready"}));
    let wrong = stranger.as_service("admin", "wrong").get("/readyz").await;
    assert_eq!(wrong.value(200), json!({"status": "ready"}));
    app.state.draining.begin();
    for client in [
        &stranger,
        &stranger.as_service("admin", ADMIN_SECRET),
        &app.nobody(),
    ] {
        let told = client.get("/readyz").await.value(503);
        assert_eq!(told, json!({"status": "not_ready", "reason": "draining"}));
    }
}

#[tokio::test]
async fn the_api_browser_stands_in_no_frame_and_runs_no_foreign_script() {
    let client = TestApp::new().nobody();
    for path in ["/docs/", "/docs/swagger-initializer.js", "/openapi.json"] {
        let answer = client.get(path).await.expect(200);
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
}

async fn register(client: &Client, id: &str, permissions: &Value) -> Answer {
    let new = json!({"service_id": id, "service_name": id, "permissions": permissions});
    client.post("/v1/services").json(&new).await
}

#[track_caller]
fn assert_denied(answer: &Answer, missing: &str) {
    let problem = answer.problem(403, "permission_denied");
    assert_eq!(
        problem["detail"],
        format!("this needs the permission {missing}")
    );
}

#[tokio::test]
async fn who_manages_services_gives_no_more_than_it_holds() {
    let app = TestApp::new();
    let held = ["service.manage", "session.read", "attribute.read:own"];
    let manager = app.service("manager", &held).await;
    for (given, missing) in [
        (json!(["*"]), "*"),
        (json!(["session.*"]), "session.*"),
        (json!(["session.read", "session.delete"]), "session.delete"),
        (json!(["attribute.read"]), "attribute.read"),
        (json!(["session.delete:own"]), "session.delete:own"),
        (json!(["service.*"]), "service.*"),
    ] {
        assert_denied(&register(&manager, "more", &given).await, missing);
        let change = json!({"permissions": given});
        let rise = manager.patch("/v1/services/manager").json(&change).await;
        assert_denied(&rise, missing);
    }
    let less = json!([
        "session.read",
        "session.read:own",
        "attribute.read:own",
        "service.manage"
    ]);
    register(&manager, "less", &less).await.expect(201);
    let change = json!({"permissions": ["session.read:own"]});
    manager
        .patch("/v1/services/less")
        .json(&change)
        .await
        .expect(200);
    manager.delete("/v1/services/less").await.expect(204);
}

#[tokio::test]
async fn who_manages_services_touches_none_that_holds_more() {
    let app = TestApp::new();
    let manager = app
        .service("manager", &["service.manage", "service.read"])
        .await;
    app.service("shop", &["session.read"]).await;
    let before = app.admin().get("/v1/services/shop").await.json();
    for change in [
        json!({"enabled": false}),
        json!({"permissions": []}),
        json!({}),
    ] {
        let answer = manager.patch("/v1/services/shop").json(&change).await;
        assert_denied(&answer, "session.read");
    }
    let rotate = manager.post("/v1/services/shop/rotate-secret").await;
    assert_denied(&rotate, "session.read");
    assert_denied(&manager.delete("/v1/services/shop").await, "session.read");
    assert_eq!(app.admin().get("/v1/services/shop").await.json(), before);
    let gone = manager.delete("/v1/services/nobody").await;
    gone.problem(404, "service_not_found");
}

#[tokio::test]
async fn nobody_touches_the_built_in_service() {
    let app = TestApp::new();
    let change = json!({"enabled": false});
    let manager = app.service("manager", &["service.*"]).await;
    let equal = app.service("equal", &["*"]).await;
    for path in ["/v1/services/admin", "/v1/services/admin/rotate-secret"] {
        let calls = |client: &Client| {
            if path.ends_with("secret") {
                vec![client.post(path)]
            } else {
                vec![client.patch(path).json(&change), client.delete(path)]
            }
        };
        for call in calls(&manager) {
            assert_denied(&call.await, "*");
        }
        for call in calls(&equal) {
            call.await.problem(409, "service_built_in");
        }
    }
    app.admin().get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn the_permissions_there_are_can_be_read_and_given() {
    let app = TestApp::new();
    let anybody = app.service("anybody", &[]).await;
    let told = anybody.get("/v1/permissions").await.value(200);
    let items = told["items"].as_array().unwrap();
    assert_eq!(items.len(), 12, "{told}");
    for (number, item) in items.iter().enumerate() {
        let sentence = item["description"].as_str().unwrap();
        assert!(
            sentence.ends_with('.') && !sentence.starts_with(' '),
            "{item}"
        );
        let mut given = vec![item["permission"].as_str().unwrap().to_owned()];
        if item["can_be_own"] == true {
            given.push(format!("{}:own", given[0]));
        }
        let id = format!("with-{number}");
        register(&app.admin(), &id, &json!(given)).await.expect(201);
    }
    app.nobody().get("/v1/permissions").await.expect(401);
}

#[tokio::test]
async fn a_permission_that_is_not_built_is_refused() {
    let app = TestApp::new();
    app.service("shop", &[]).await;
    for permission in [
        "online.read",
        "online.*",
        "message.send",
        "audit.read",
        "webhook.manage",
        "session.import",
        "session.import:own",
    ] {
        let given = json!(["session.read", permission]);
        let answer = register(&app.admin(), "other", &given).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(
            problem["errors"][0]["pointer"], "/permissions/1",
            "{problem}"
        );
        let change = app.admin().patch("/v1/services/shop");
        let answer = change.json(&json!({"permissions": given})).await;
        answer.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn what_another_version_stored_is_kept_and_allows_nothing() {
    let app = TestApp::new();
    let new = NewService {
        service_id: ServiceId::parse("old").unwrap(),
        service_name: ServiceName::parse("Old").unwrap(),
        permissions: serde_json::from_value(json!(["online.*", "session.import"])).unwrap(),
        session_limit: None,
        quotas: Quotas::default(),
        secret: CredentialHash::of(b"its secret"),
        operation_id: None,
    };
    let services = &app.state.gateway.stores.services;
    services.register(new, &Manager::admin()).await.unwrap();
    let old = app.nobody().as_service("old", "its secret");
    let me = old.get("/v1/whoami").await.value(200);
    assert_eq!(me["permissions"], json!(["online.*", "session.import"]));
    old.get("/v1/sessions")
        .await
        .problem(403, "permission_denied");
    let renamed = app.admin().patch("/v1/services/old");
    let renamed = renamed
        .json(&json!({"service_name": "Older"}))
        .await
        .value(200);
    assert_eq!(renamed["permissions"], me["permissions"]);
}

#[tokio::test]
async fn null_in_a_create_is_the_same_as_absent() {
    let app = TestApp::new();
    let absent = json!({
        "login_id": "ana", "token": null, "device": null, "device_id": null, "attributes": null, "state": null,
        "idle_timeout_seconds": null, "max_age_seconds": null, "connection_id": null, "client_ip": null,
        "client_port": null, "user_agent": null, "server_addr": null, "limit": null,
    });
    let made = app
        .admin()
        .post("/v1/sessions")
        .json(&absent)
        .await
        .value(201);
    assert_eq!(made["session"]["attributes"], json!({}));
    assert_eq!(made["session"]["state"], "active");
    for limit in [
        json!({"max": null}),
        json!({"max": 1, "per": null}),
        json!({"max": 1, "overflow": null}),
    ] {
        let new = json!({"login_id": "ana", "limit": limit});
        let answer = app.admin().post("/v1/sessions").json(&new).await;
        answer.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_mapped_address_is_the_client_of_ipv4() {
    let app = TestApp::new();
    let admin = app.admin();
    let new = json!({"login_id": "ana", "client_ip": "::ffff:203.0.113.9"});
    let made = admin.post("/v1/sessions").json(&new).await.value(201);
    let session = &made["session"];
    assert_eq!(session["client_ip"], "203.0.113.9");
    for address in ["203.0.113.9", "::ffff:203.0.113.9"] {
        let listed = admin
            .get(format!("/v1/sessions?client_ip={address}"))
            .await
            .value(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{address}");
    }
    let path = format!("/v1/sessions/{}", session["session_id"].as_str().unwrap());
    let change = json!({"client_ip": "::ffff:203.0.113.10"});
    let changed = admin.patch(path).json(&change).await.value(200);
    assert_eq!(changed["client_ip"], "203.0.113.10");
    let filter = json!({"filter": {"client_ip": "::ffff:203.0.113.10"}, "dry_run": true});
    let counted = admin
        .post("/v1/sessions/bulk-delete")
        .json(&filter)
        .await
        .value(200);
    assert_eq!(counted["count"], 1);
}
