//! What the tests share: [`TestApp`] in process, [`Gateway`] as the real program, and one [`Client`] for both.

mod app;
mod client;
mod disk;
mod follow;
mod gateway;
mod loader;
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the harness is shared with the tests of the connections"
)]
pub(crate) mod redis;
mod tls;

pub(crate) use app::TestApp;
pub(crate) use client::{Answer, Call, Client};
pub(crate) use disk::SmallDisk;
pub(crate) use follow::{Follow, feed};
pub(crate) use gateway::{ADMIN_SECRET, Gateway, Launch};
pub(crate) use loader::{Asked, Manner, TestLoader};
pub(crate) use tls::TlsFront;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a request is sent again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Registers a service by one client, and returns another that calls as it.
async fn register(
    admin: &Client,
    nobody: &Client,
    service_id: &str,
    permissions: &[&str],
) -> Client {
    let wanted = json!({
        "service_id": service_id,
        "service_name": service_id,
        "permissions": permissions,
    });
    let made = admin.post("/v1/services").json(&wanted).await.expect(201);
    let secret = made.json()["secret"].clone();
    nobody.as_service(service_id, secret.as_str().unwrap())
}

/// A session that a test has opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Opened {
    /// By the answer to a create.
    pub(crate) fn of(created: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            id: text(&created["session"]["session_id"]),
            token: text(&created["token"]),
        }
    }

    /// Where the session is.
    pub(crate) fn path(&self) -> String {
        self.at("")
    }

    /// Where something of the session is.
    pub(crate) fn at(&self, rest: &str) -> String {
        format!("/v1/sessions/{}{rest}", self.id)
    }
}

/// Opens a session.
pub(crate) async fn open(client: &Client, request: Value) -> Opened {
    let created = client.post("/v1/sessions").json(&request).await.value(201);
    Opened::of(&created)
}

/// A size that the environment may raise.
#[expect(
    clippy::disallowed_methods,
    reason = "a longer run is asked for by the environment"
)]
pub(crate) fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect(name))
}

/// Sends a request until it is answered by anything but 503: a busy machine does not keep the deadlines of the store.
pub(crate) async fn persistently(request: impl Fn() -> Call) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = request().await;
        if answer.status != 503 || Instant::now() > deadline {
            return answer;
        }
    }
}

/// Fails to authenticate until the gateway slows this machine down for at least so many seconds.
pub(crate) async fn fail_until_throttled(nobody: &Client, seconds: u64) {
    let wrong = nobody.as_service("admin", "not its secret");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = wrong.get("/v1/whoami").await;
        if answer.status == 429 && answer.header("retry-after").parse::<u64>().unwrap() >= seconds {
            return;
        }
        assert!(Instant::now() < deadline, "never slowed down");
    }
}

/// A failure to authenticate that comes to a gateway which slows this machine down.
pub(crate) async fn assert_throttled(nobody: &Client) {
    let wrong = nobody.as_service("admin", "not its secret");
    let failed = persistently(|| wrong.get("/v1/whoami")).await;
    failed.problem(429, "rate_limited");
}
