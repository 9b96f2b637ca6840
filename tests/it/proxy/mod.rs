//! Reverse proxies: what `/auth/*` decides, how it is told, and that the shipped samples do with it what they promise.

mod candidates;
mod conditions;
mod decisions;
mod explain;
mod heads;
mod identity;
mod log;
mod login;
mod outage;
mod places;
mod real;
mod sample;
mod samples;
mod spoofing;
mod widening;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::ConnectInfo;
use session_gateway::config::Config;
use session_gateway::gateway::Gateway;
use session_gateway::http::state::AppState;
use session_gateway::store::Stores;
use session_gateway::store::node::Handle;

use crate::support::{Answer, Call, Client, TestApp};
use outage::Losable;

/// Where every question may be asked.
const PATHS: [&str; 3] = ["/auth/nginx", "/auth/forward", "/auth/envoy"];

/// What a path may end in to let more pass.
const WIDENINGS: [&str; 3] = ["-optional", "-preflight", "-optional-preflight"];

/// The cookie `sid` is read; role, plan and `home.town` are told.
fn settings(trusted: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("SGW_TRUSTED_PROXIES", trusted),
        ("SGW_TOKEN_COOKIE", "sid"),
        ("SGW_EXPORT_ATTRIBUTES", "role,plan,home.town"),
        ("SGW_LOGIN_URL_ALLOW", "https://login.example.com"),
    ]
}

/// A gateway that trusts 10.0.0.0/8.
fn gateway() -> TestApp {
    TestApp::with(&settings("10.0.0.0/8"))
}

/// Calls from an address.
fn from(state: &AppState, address: &str) -> Client {
    let peer = SocketAddr::new(address.parse().unwrap(), 54_321);
    let router = session_gateway::http::app::app(state.clone());
    Client::in_process(router.layer(Extension(ConnectInfo(peer))))
}

/// Calls from a trusted address.
fn proxy(app: &TestApp) -> Client {
    from(&app.state, "10.1.2.3")
}

/// The same gateway over a store that can be lost.
fn over_losable(app: &TestApp, trusted: &'static str) -> (AppState, Arc<Losable>) {
    let losable = Losable::over(&app.state.gateway.stores);
    let stores = Stores {
        sessions: Handle::new(Arc::<Losable>::clone(&losable)),
        ..app.state.gateway.stores.clone()
    };
    let config = Config::from_variables(settings(trusted)).unwrap();
    let state = AppState::new(Gateway::new(
        stores,
        app.state.gateway.lifetimes,
        *app.state.gateway.authenticator.admin.load_full(),
    ));
    (state.with_proxies(config.proxies), losable)
}

/// Asserts a refusal: status, reason, nothing in the body, nothing to be kept.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("x-auth-reason"), reason);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.is_empty(), "{answer:?}");
    let challenge = answer.headers.get("www-authenticate");
    let challenge = challenge.map(|value| value.to_str().unwrap());
    let wanted = match (status, reason) {
        (401, "token_missing") => Some("Bearer realm=\"session-gateway\""),
        (401, _) => Some("Bearer realm=\"session-gateway\", error=\"invalid_token\""),
        _ => None,
    };
    assert_eq!(challenge, wanted);
    assert!(
        !answer.headers.contains_key("x-auth-login-id"),
        "{answer:?}"
    );
}

/// What every yes has beside the login.
const BESIDE_LOGIN: [&str; 7] = [
    "x-auth-session-id",
    "x-auth-device",
    "x-auth-expires-at",
    "x-auth-omitted",
    "x-auth-attr-role",
    "x-auth-attr-plan",
    "x-auth-attr-home-town",
];

/// Asserts a yes for this login.
#[track_caller]
fn assert_allowed(answer: &Answer, login_id: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-auth-login-id"), login_id);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.is_empty(), "{answer:?}");
    for name in BESIDE_LOGIN {
        let lines = answer.headers.get_all(name).iter().count();
        assert_eq!(lines, 1, "{name}: {answer:?}");
    }
}

fn with_token(call: Call, token: &str) -> Call {
    call.header("authorization", &format!("Bearer {token}"))
}

async fn ask(client: &Client, path: &str, token: &str) -> Answer {
    with_token(client.get(path), token).await
}
