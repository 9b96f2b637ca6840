//! Who may call: credentials, permissions, rotation, the built-in service, the throttle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use session_gateway::gateway::auth::ensure_admin;
use session_gateway::gateway::{AdminCredential, Authenticator, Caller, Gateway, GatewayError};
use session_gateway::http::app::app;
use session_gateway::http::auth::{authenticate, guarded};
use session_gateway::http::state::AppState;
use session_gateway::model::id::ServiceId;
use session_gateway::model::page::PageLimit;
use session_gateway::model::permission::Permission;
use session_gateway::model::service::{Manager, Service, ServiceRecord};
use session_gateway::model::token::{CredentialHash, ServiceSecret};
use session_gateway::rules::services::ServiceRequest;
use session_gateway::store::node::Handle;
use session_gateway::store::{OpError, ServiceStore, StoreError, Stores};
use utoipa_axum::routes;

use crate::support::{ADMIN_SECRET, Answer, Client, TestApp};

const WHOAMI: &str = "/v1/whoami";

/// Registers a service and tells its secret.
async fn register(app: &TestApp, id: &str, permissions: &[&str]) -> String {
    let new = json!({"service_id": id, "service_name": id, "permissions": permissions});
    let answer = app.admin().post("/v1/services").json(&new).await;
    secret(&answer.expect(201))
}

/// Rotates the secret of a service and tells the new one.
async fn rotate(app: &TestApp, id: &str, grace_seconds: u64) -> String {
    let path = format!("/v1/services/{id}/rotate-secret");
    let grace = json!({"grace_seconds": grace_seconds});
    secret(&app.admin().post(path).json(&grace).await.expect(200))
}

fn secret(answer: &Answer) -> String {
    answer.json()["secret"].as_str().unwrap().to_owned()
}

async fn enable(app: &TestApp, id: &str, enabled: bool) {
    let change = json!({"enabled": enabled});
    let path = format!("/v1/services/{id}");
    app.admin().patch(path).json(&change).await.expect(200);
}

async fn whoami(app: &TestApp, id: &str, secret: &str) -> Answer {
    app.nobody().as_service(id, secret).get(WHOAMI).await
}

#[track_caller]
fn assert_let_in(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[track_caller]
fn assert_shut_out(answer: &Answer) {
    answer.problem(401, "unauthenticated");
}

/// The problem without what names the request.
fn anonymous(answer: &Answer) -> Value {
    let mut problem = answer.json();
    problem["request_id"].take();
    problem
}

#[tokio::test]
async fn both_kinds_of_credentials_open_the_door() {
    let app = TestApp::new();
    let shop = register(&app, "shop", &[]).await;
    let by_basic = whoami(&app, "shop", &shop).await.expect(200);
    let by_headers = app
        .nobody()
        .get(WHOAMI)
        .header("x-service-id", "shop")
        .header("x-service-secret", &shop)
        .await
        .expect(200);
    assert_eq!(by_basic.json()["service_id"], "shop");
    assert_eq!(by_basic.body, by_headers.body);
}

#[tokio::test]
async fn every_failure_gets_the_same_answer() {
    let app = TestApp::new();
    let good = register(&app, "shop", &["*"]).await;
    let other = register(&app, "off", &["*"]).await;
    enable(&app, "off", false).await;
    let (good, other) = (good.as_str(), other.as_str());
    let basic =
        |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let one = |value: &str| vec![("authorization", value.to_owned())];
    let id = ("x-service-id", "shop".to_owned());
    let secret = ("x-service-secret", good.to_owned());
    let shop = ("authorization", basic("shop", good));
    let nobody = ("authorization", basic("nobody", good));
    let presented = [
        ("nothing", vec![]),
        ("an unknown service", vec![nobody.clone()]),
        ("a wrong secret", one(&basic("shop", other))),
        ("no secret", one(&basic("shop", ""))),
        ("no id", one(&basic("", good))),
        ("an id with a space", one(&basic("sh op", good))),
        ("a disabled service", one(&basic("off", other))),
        (
            "a wrong secret of the built-in service",
            one(&basic("admin", good)),
        ),
        ("not base64", one("Basic %%%")),
        (
            "no colon",
            one(&format!("Basic {}", STANDARD.encode("shop"))),
        ),
        ("no scheme", one("shop")),
        ("another scheme", one("Bearer shop")),
        ("the same twice", vec![shop.clone(), shop.clone()]),
        ("two that differ", vec![nobody, id.clone(), secret.clone()]),
        ("half of the other kind", vec![shop, id.clone()]),
        ("only the id", vec![id.clone()]),
        ("only the secret", vec![secret.clone()]),
        ("two ids", vec![id.clone(), id.clone(), secret.clone()]),
        ("two secrets", vec![id, secret.clone(), secret]),
    ];
    let told = anonymous(&app.nobody().get(WHOAMI).await);
    for (what, headers) in presented {
        let mut call = app.nobody().get(WHOAMI);
        for (name, value) in &headers {
            call = call.header(name, value);
        }
        let answer = call.await;
        assert_shut_out(&answer);
        assert_eq!(anonymous(&answer), told, "{what}");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, "Basic realm=\"session-gateway\"", "{what}");
    }
}

#[tokio::test]
async fn a_service_that_is_enabled_again_is_let_in_again() {
    let app = TestApp::new();
    let shop = register(&app, "shop", &[]).await;
    enable(&app, "shop", false).await;
    assert_shut_out(&whoami(&app, "shop", &shop).await);
    enable(&app, "shop", true).await;
    assert_let_in(&whoami(&app, "shop", &shop).await);
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_is_missing() {
    let app = TestApp::new();
    let reader = app.service("reader", &["service.read"]).await;
    let refused = reader.delete("/v1/services/reader").await;
    let problem = refused.problem(403, "permission_denied");
    assert_eq!(
        problem["detail"],
        "this needs the permission service.manage"
    );
    reader.get("/v1/services/reader").await.expect(200);
}

#[tokio::test]
async fn wildcards_grant_what_they_cover() {
    let app = TestApp::new();
    for (id, grant, status) in [
        ("all", "*", 200),
        ("services", "service.*", 200),
        ("sessions", "session.*", 403),
    ] {
        let service = app.service(id, &[grant]).await;
        service.get("/v1/services").await.expect(status);
    }
}

#[utoipa::path(get, path = "/v1/scope", responses((status = 200, description = "The scope.")))]
async fn find_scope(caller: Caller) -> String {
    format!("{:?}", caller.scope)
}

#[tokio::test]
async fn own_narrows_the_caller_to_its_own_sessions() {
    let app = TestApp::new();
    let narrow = register(&app, "narrow", &["session.read:own"]).await;
    let wide = register(&app, "wide", &["session.read:own", "session.read"]).await;
    let routes = Router::from(guarded(Permission::SessionRead, routes!(find_scope)))
        .route_layer(from_fn_with_state(
            Arc::clone(&app.state.gateway.authenticator),
            authenticate,
        ))
        .with_state(app.state.clone());
    let client = Client::in_process(routes);
    for (id, secret, scope) in [("narrow", narrow, "OpenedBy"), ("wide", wide, "All")] {
        let answer = client.as_service(id, &secret).get("/v1/scope").await;
        assert!(answer.body.starts_with(scope.as_bytes()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_rotated_secret_is_good_until_its_grace_is_over() {
    let app = TestApp::new();
    let old = register(&app, "shop", &[]).await;
    let new = rotate(&app, "shop", 60).await;
    app.pass(Duration::from_millis(59_999));
    assert_let_in(&whoami(&app, "shop", &old).await);
    assert_let_in(&whoami(&app, "shop", &new).await);
    app.pass(Duration::from_millis(1));
    assert_shut_out(&whoami(&app, "shop", &old).await);
    assert_let_in(&whoami(&app, "shop", &new).await);
}

#[tokio::test]
async fn only_the_last_secret_has_a_grace() {
    let app = TestApp::new();
    let first = register(&app, "shop", &[]).await;
    let second = rotate(&app, "shop", 3_600).await;
    let third = rotate(&app, "shop", 0).await;
    assert_shut_out(&whoami(&app, "shop", &first).await);
    assert_shut_out(&whoami(&app, "shop", &second).await);
    assert_let_in(&whoami(&app, "shop", &third).await);
}

#[tokio::test]
async fn a_configured_secret_wins_over_the_stored_one_and_is_never_stored() {
    let app = TestApp::new();
    let admin = ServiceId::admin();
    let Authenticator {
        stores,
        admin: configured,
        ..
    } = &*app.state.gateway.authenticator;
    let made = ensure_admin(stores, &configured.load(), TO_NOBODY).await;
    assert!(made.unwrap().is_none());
    let found = stores.services.find_service(&admin).await.unwrap();
    assert_eq!(found.unwrap().secret, CredentialHash::NONE);
    let stored = "a stored secret of the built-in service";
    let hash = CredentialHash::of(stored.as_bytes());
    let manager = Manager::admin();
    let rotated = stores
        .services
        .rotate_secret(&admin, hash, Duration::ZERO, &manager);
    rotated.await.unwrap();
    assert_shut_out(&whoami(&app, "admin", stored).await);
    let me = whoami(&app, "admin", ADMIN_SECRET).await.expect(200).json();
    assert_eq!(me["permissions"], json!(["*"]));

    let made = ensure_admin(stores, &configured.load(), TO_NOBODY).await;
    assert!(made.unwrap().is_none());
    let found = stores.services.find_service(&admin).await.unwrap();
    assert_eq!(found.unwrap().secret, CredentialHash::NONE);
}

/// A secret that is made is handed to nobody.
const TO_NOBODY: fn(&ServiceSecret) -> Result<(), GatewayError> = |_secret| Ok(());

/// A gateway on the same store that was started without a configured secret, and the secret that it made.
async fn start_without_configured_secret(app: &TestApp) -> (Client, Option<String>) {
    let stores = app.state.gateway.stores.clone();
    let made = ensure_admin(&stores, &AdminCredential(None), TO_NOBODY);
    let made = made.await.unwrap();
    let state = AppState::new(Gateway::new(
        stores,
        app.state.gateway.lifetimes,
        AdminCredential(None),
    ));
    let client = Client::in_process(session_gateway::http::app::app(state));
    (client, made.map(|secret| secret.expose().to_owned()))
}

#[tokio::test]
async fn without_a_configured_secret_one_is_made_once() {
    let app = TestApp::new();
    let (client, made) = start_without_configured_secret(&app).await;
    let admin = client.as_service("admin", &made.unwrap());
    assert_let_in(&admin.get(WHOAMI).await);
    assert_shut_out(&client.as_service("admin", ADMIN_SECRET).get(WHOAMI).await);
    let (_, made_again) = start_without_configured_secret(&app).await;
    assert_eq!(made_again, None);
    admin
        .post("/v1/services/admin/rotate-secret")
        .await
        .expect(200);
    assert_shut_out(&admin.get(WHOAMI).await);
}

#[tokio::test]
async fn a_secret_is_made_when_the_configured_one_is_taken_away() {
    let app = TestApp::new();
    let Authenticator { stores, admin, .. } = &*app.state.gateway.authenticator;
    ensure_admin(stores, &admin.load(), TO_NOBODY)
        .await
        .unwrap();
    let (client, made) = start_without_configured_secret(&app).await;
    let admin = client.as_service("admin", &made.unwrap());
    assert_let_in(&admin.get(WHOAMI).await);
}

#[tokio::test]
async fn a_configured_secret_is_good_also_when_the_store_was_emptied() {
    let app = TestApp::new();
    let id = ServiceId::admin();
    let services = &app.state.gateway.stores.services;
    assert_let_in(&whoami(&app, "admin", ADMIN_SECRET).await);
    services
        .remove_service(&id, &Manager::admin())
        .await
        .unwrap();
    assert_let_in(&whoami(&app, "admin", ADMIN_SECRET).await);
}

/// Calls from an address, as the server tells it.
fn from_address(gateway: &TestApp, address: &str) -> Client {
    let peer = SocketAddr::new(address.parse().unwrap(), 54_321);
    let router = app(gateway.state.clone());
    Client::in_process(router.layer(Extension(ConnectInfo(peer))))
}

#[tokio::test]
async fn many_failures_are_told_to_wait_and_good_credentials_pass() {
    let app = TestApp::new();
    let good = register(&app, "shop", &[]).await;
    let bad = from_address(&app, "203.0.113.7").as_service("shop", "not its secret");
    let mut limited = None;
    for _ in 0..1_000 {
        let answer = bad.get(WHOAMI).await;
        if answer.status != 401 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.unwrap();
    limited.problem(429, "rate_limited");
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!(wait >= 1);
    assert_let_in(&bad.as_service("shop", &good).get(WHOAMI).await);
    let elsewhere = from_address(&app, "203.0.113.8");
    assert_shut_out(
        &elsewhere
            .as_service("shop", "not its secret")
            .get(WHOAMI)
            .await,
    );
    assert_shut_out(&from_address(&app, "203.0.113.7").get(WHOAMI).await);
}

#[tokio::test]
async fn whatever_is_wrong_is_told_at_the_same_moment() {
    let app = TestApp::new();
    let good = register(&app, "shop", &[]).await;
    let off = register(&app, "off", &[]).await;
    enable(&app, "off", false).await;
    assert_let_in(&whoami(&app, "shop", &good).await);
    tokio::time::pause();
    for (id, secret) in [
        ("shop", "wrong"),
        ("nobody", "wrong"),
        ("off", off.as_str()),
        ("admin", good.as_str()),
    ] {
        let since = tokio::time::Instant::now();
        assert_shut_out(&whoami(&app, id, secret).await);
        // Timers have steps of a millisecond.
        let waited = since.elapsed().as_millis();
        assert!((10..=11).contains(&waited), "{id}: {waited}");
    }
}

#[tokio::test]
async fn requests_without_credentials_do_not_count() {
    let app = TestApp::new();
    for _ in 0..300 {
        assert_shut_out(&app.nobody().get(WHOAMI).await);
    }
    assert_shut_out(&whoami(&app, "shop", "not its secret").await);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_never_a_no() {
    let client = over_silent_services(&TestApp::new().state);
    for (id, secret) in [("admin", ADMIN_SECRET), ("admin", "wrong"), ("shop", "any")] {
        let answer = client.as_service(id, secret).get(WHOAMI).await;
        answer.problem(503, "store_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
}

fn over_silent_services(state: &AppState) -> Client {
    let stores = Stores {
        services: Handle::new(Arc::new(Silent)),
        ..state.gateway.stores.clone()
    };
    let state = AppState::new(Gateway::new(
        stores,
        state.gateway.lifetimes,
        *state.gateway.authenticator.admin.load_full(),
    ));
    Client::in_process(app(state))
}

/// Services in a store that does not answer.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl ServiceStore for Silent {
    async fn find_service(&self, _: &ServiceId) -> Result<Option<ServiceRecord>, StoreError> {
        Err(StoreError::TimedOut)
    }

    async fn services_after(
        &self,
        _: &str,
        _: PageLimit,
    ) -> Result<(Vec<Service>, Option<String>), StoreError> {
        Err(StoreError::TimedOut)
    }

    async fn write_service(
        &self,
        _: &ServiceId,
        _: ServiceRequest,
        _: &Manager,
    ) -> Result<Service, OpError> {
        Err(StoreError::TimedOut.into())
    }
}
