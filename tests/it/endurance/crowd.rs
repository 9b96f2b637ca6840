//! What everybody else pays for a login with very many sessions, and for very many sessions that expire at once.
//!
//! `SGW_TEST_CROWD` sets how many sessions that is; 3,000 if it is not set. With `SGW_TEST_P99` in the environment, others
//! wait at most that many times as long, at the 99th percentile, as while the same is done to as many logins.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::others::{Others, Waits};
use super::stored::Stored;
use crate::support::redis::eventually;
use crate::support::{Client, Gateway, persistently, size};

/// Opened at a time.
const ABREAST: usize = 8;
/// Longer than any part takes.
const PHASE: Duration = Duration::from_secs(1_800);
/// Requests of others that may be unknown on a busy machine.
const KNOWN: f64 = 0.9;

/// One service, which is not to be bounded here, with very many sessions, and others who use the gateway meanwhile.
struct Crowd {
    sessions: usize,
    stored: Stored,
    gateway: Gateway,
    others: Others,
    start: Instant,
}

impl Crowd {
    async fn start() -> Self {
        let stored = Stored::on_one_server().await;
        let launch = stored.launch();
        let gateway = launch.set("SGW_SERVICE_MAX_OPENS_PER_SECOND", "0").start();
        let gateway = gateway.await;
        Self {
            sessions: size("SGW_TEST_CROWD", 3_000),
            others: Others::start(gateway.admin()).await,
            start: Instant::now(),
            stored,
            gateway,
        }
    }

    /// Fails if others were kept from their answers since `began`.
    async fn judge(self, what: &str, began: Instant) {
        let ended = Instant::now();
        let (all, _) = self.others.end().await;
        let what = format!("{} sessions, {what}", self.sessions);
        let (base, meanwhile) = (all.between(self.start, began), all.between(began, ended));
        judge(&what, &base, &meanwhile);
    }
}

async fn open_all(client: &Client, sessions: usize, new: impl Fn(usize) -> Value) {
    let opens = stream::iter((0..sessions).map(&new)).map(|new| async move {
        persistently(|| client.post("/v1/sessions").json(&new))
            .await
            .expect(201);
    });
    opens.buffer_unordered(ABREAST).collect::<()>().await;
}

/// Lists a login to its end, looks at it, and ends all its sessions.
async fn list_and_end(client: &Client, login: &str) -> usize {
    let summary = persistently(|| client.get(format!("/v1/logins/{login}"))).await;
    summary.expect(200);
    let (mut listed, mut next) = (0, String::new());
    loop {
        let path = format!("/v1/logins/{login}/sessions?limit=200{next}");
        let page = persistently(|| client.get(&path)).await.value(200);
        listed += page["items"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    let mut next = String::new();
    loop {
        let path = format!("/v1/logins/{login}/sessions{next}");
        let ended = persistently(|| client.delete(&path)).await.value(200);
        match ended["cursor"].as_str() {
            Some(cursor) => next = format!("?cursor={cursor}"),
            None => return listed,
        }
    }
}

/// Fails if others were kept from their answers; by the clock only if the environment asks for that.
#[track_caller]
fn judge(what: &str, base: &Waits, meanwhile: &Waits) {
    eprintln!("{what}\n  before: {base}\n  meanwhile: {meanwhile}");
    assert!(meanwhile.known() >= KNOWN, "{meanwhile}");
    let factor = size("SGW_TEST_P99", 0);
    if factor > 0 {
        let bound = base.percentile(99) * u32::try_from(factor).unwrap();
        assert!(
            meanwhile.percentile(99) <= bound,
            "{meanwhile} against {base}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_very_many_sessions_costs_others_no_more_than_as_many_logins() {
    let crowd = Crowd::start().await;
    let (client, sessions) = (crowd.gateway.admin(), crowd.sessions);
    let of_many = |n| json!({"login_id": format!("login-{}", n / 100)});
    open_all(&client, sessions, of_many).await;
    for login in 0..sessions / 100 {
        assert_eq!(list_and_end(&client, &format!("login-{login}")).await, 100);
    }
    let began = Instant::now();
    open_all(&client, sessions, |_| json!({"login_id": "crowd"})).await;
    assert_eq!(list_and_end(&client, "crowd").await, sessions);
    let left = persistently(|| client.get("/v1/logins/crowd")).await;
    assert_eq!(left.value(200)["session_count"], 0);
    crowd.judge("of many logins and of one", began).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_sessions_that_expire_at_once_are_no_storm() {
    let crowd = Crowd::start().await;
    let (client, sessions) = (crowd.gateway.admin(), crowd.sessions);
    let new = |n: usize, seconds: u64| json!({"login_id": format!("login-{n}"), "idle_timeout_seconds": seconds});
    open_all(&client, sessions, |n| new(n, 3_600)).await;
    let kept = crowd.stored.filed();
    // However long it takes to open them, all are over within the same second or two.
    let over = Instant::now() + Duration::from_secs(5 + sessions as u64 / 500);
    let left = || over.saturating_duration_since(Instant::now()).as_secs();
    open_all(&client, sessions, |n| new(n, 1 + left())).await;
    let began = Instant::now();
    eventually(PHASE, || async { crowd.stored.filed() <= kept }).await;
    crowd.judge("that expire", began).await;
}
