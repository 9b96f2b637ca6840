//! What an operator hears of proxies: nothing of what goes well, one line of what is set up wrong.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::Level;

use super::{from, gateway, over_losable};
use crate::support::open;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// What has been logged since the last look.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

#[tokio::test]
async fn only_what_is_wrong_with_a_proxy_is_logged_and_not_for_every_request() {
    let app = gateway();
    let token = open(&app.admin(), json!({"login_id": "ana"})).await.token;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    let trusted = from(&state, "10.0.0.1");
    let stranger = from(&state, "192.0.2.1");
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    for token in [
        token.as_str(),
        "junk",
        "foreign-token-0123456789abcdef0123456789abcdef",
    ] {
        trusted
            .get("/auth/nginx")
            .header("x-session-token", token)
            .await;
        trusted
            .get("/auth/nginx?require=a:b")
            .header("x-session-token", token)
            .await;
    }
    assert_eq!(written.take(), "");

    let with_token = |call: crate::support::Call| call.header("x-session-token", &token);
    let login_page = "/auth/forward?login_url=https%3A%2F%2Fevil.example.com%2F%3Fsecret%3Dhunter2";
    for _ in 0..50 {
        with_token(stranger.get("/auth/nginx"))
            .header("x-service-id", "admin")
            .await;
        with_token(trusted.get("/auth/nginx?requrie=hunter2")).await;
        trusted.get(login_page).await;
    }
    store.lose(true);
    with_token(trusted.get("/auth/nginx")).await;
    let text = written.take();
    for wanted in [
        "a proxy was refused client.address=192.0.2.1",
        "a proxy is misconfigured client.address=10.0.0.1 reason=the query has an unknown parameter",
        "end `uri` in a Caddyfile with `?`, or Caddy hands on the query of its client",
        "login_url is not in SGW_LOGIN_URL_ALLOW; users get 401",
        "the store did not answer in time",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    let lines = text.lines().count();
    assert!((4..=40).contains(&lines), "{lines} lines: {text}");
    for secret in [token.as_str(), "hunter2"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_path_that_nobody_is_asked_at_is_logged() {
    let app = gateway();
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    super::proxy(&app).get("/auth/nginx-optionl").await;
    let text = written.take();
    let wanted = "a proxy is misconfigured client.address=10.1.2.3 reason=there is no such path below /auth/";
    assert!(text.contains(wanted), "{text}");
}
