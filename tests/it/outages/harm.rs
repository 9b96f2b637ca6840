//! Redis dies, refuses, talks nonsense or falls silent: nothing is claimed that cannot be known, and all is well again
//! without a restart.

use std::time::{Duration, Instant};

use deadpool_redis::redis;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::traffic::{Load, Log, Outcome, Traffic};
use super::{RECOVERY, SETTLED, gateway_on, patiently};
use crate::support::Client;
use crate::support::redis::{FaultProxy, Mode, RedisServer, eventually};

const LOAD: Load = Load {
    users: 16,
    per_second: 300,
};

/// How long each harm lasts.
const HARM: Duration = Duration::from_millis(700);

/// What was asked for a while after the harm began cannot be known.
#[track_caller]
fn assert_unknown_meanwhile(log: &Log, from: Instant, until: Instant) {
    let meanwhile = log.within(from + HARM / 2, until);
    assert!(meanwhile.clone().count() > 0);
    for sample in meanwhile {
        assert_eq!(sample.outcome, Outcome::Unknown, "{sample:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_on_the_way_to_redis_is_unknown_and_passes() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::before(redis.port).await;
    let gateway = gateway_on(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    let traffic = Traffic::start(&gateway, LOAD).await;
    let mut whole = Vec::new();
    for mode in [
        Mode::BlackHole,
        Mode::HalfOpen,
        Mode::Garbage,
        Mode::Reset,
        Mode::CutAfter(50),
        Mode::CutAfter(1_000),
        Mode::Late(Duration::from_millis(400)),
    ] {
        let begun = Instant::now();
        proxy.set(mode);
        if mode == Mode::Reset {
            proxy.cut_all();
        }
        sleep(HARM).await;
        let over = Instant::now();
        proxy.set(Mode::Pass);
        traffic.well().await;
        // A connection that breaks after some replies lets these through.
        if mode != Mode::CutAfter(1_000) {
            whole.push((begun, over));
        }
    }
    let log = traffic.end().await;
    log.assert_never_wrong();
    for (begun, over) in whole {
        assert_unknown_meanwhile(&log, begun, over);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_killed_is_found_again_and_no_session_is_lost() {
    let mut redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    let traffic = Traffic::start(&gateway, LOAD).await;
    let killed = Instant::now();
    redis.kill();
    sleep(HARM).await;
    let back = Instant::now();
    redis.run().await;
    traffic.well().await;
    let log = traffic.end().await;
    log.assert_never_wrong();
    assert_unknown_meanwhile(&log, killed, back);
    let unwell = log.unwell_after(back);
    assert!(unwell < RECOVERY, "{unwell:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_makes_all_unknown_until_it_is_back() {
    let redis = RedisServer::start().await;
    redis
        .ask::<()>("ACL SETUSER gate on >first ~* &* +@all")
        .await;
    let gateway = gateway_on(&format!("redis://gate:first@127.0.0.1:{}", redis.port)).await;
    let traffic = Traffic::start(&gateway, LOAD).await;
    redis.ask::<()>("ACL SETUSER gate resetpass >second").await;
    redis.ask::<i64>("CLIENT KILL USER gate").await;
    let changed = Instant::now();
    sleep(HARM).await;
    let readiness = gateway.nobody().get("/readyz").await.value(503);
    let back = Instant::now();
    redis.ask::<()>("ACL SETUSER gate >first").await;
    traffic.well().await;
    let log = traffic.end().await;
    log.assert_never_wrong();
    assert_unknown_meanwhile(&log, changed, back);
    let reason = readiness["reason"].as_str().unwrap();
    assert!(
        reason.contains("Password authentication failed"),
        "{reason}"
    );
    assert!(!reason.contains("first") && !reason.contains("second"));
    assert!(!gateway.stderr().contains("gate:first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_reply_was_lost_has_one_effect_however_often_it_is_repeated() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let gateway = gateway_on(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    let admin = gateway.admin();
    let mut work = JoinSet::new();
    for number in 0..40 {
        let admin = admin.clone();
        work.spawn(async move {
            let login = format!("u{number}");
            let create = || {
                let call = admin.post("/v1/sessions").header("Idempotency-Key", &login);
                call.json(&json!({"login_id": login, "attributes": {"n": 0}}))
            };
            let mut failures = 0;
            let start = Instant::now();
            let created = loop {
                let answer = create().await;
                if answer.status == 201 {
                    break answer.json();
                }
                assert_eq!(answer.status, 503, "{}", answer.text());
                assert!(start.elapsed() < 2 * SETTLED, "never created");
                failures += 1;
                sleep(Duration::from_millis(100)).await;
            };
            (login, created, failures)
        });
    }
    for _ in 0..10 {
        sleep(Duration::from_millis(3)).await;
        proxy.set(Mode::HalfOpen);
        sleep(Duration::from_millis(150)).await;
        proxy.set(Mode::Pass);
        eventually(SETTLED, || async {
            admin.get("/readyz").await.status == 200
        })
        .await;
    }
    let mut lost = 0;
    for (login, created, failures) in work.join_all().await {
        let listed = admin.get(format!("/v1/logins/{login}/sessions")).await;
        let items = listed.value(200)["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), 1, "{login}: {items}");
        assert_eq!(items[0]["session_id"], created["session"]["session_id"]);
        lost += failures;
    }
    assert!(lost > 0, "no reply was lost");
}

/// What lasts no longer is gone before anybody tries again.
const SOON: i64 = 60_000;

/// Takes away what Redis forgets by itself within a minute.
async fn pass_a_minute(server: &RedisServer) {
    let mut connection = server.connection().await;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("sgw:t:*")
        .query_async(&mut connection)
        .await
        .unwrap();
    for key in keys {
        let ttl: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        if ttl <= SOON {
            let mut delete = redis::cmd("DEL");
            delete.arg(&key).exec_async(&mut connection).await.unwrap();
        }
    }
}

async fn sessions_of(admin: &Client, login: &str) -> usize {
    let path = format!("/v1/logins/{login}/sessions");
    let listed = patiently(|| admin.get(&path)).await.value(200);
    listed["items"].as_array().unwrap().len()
}

/// What is sent when a token is taken.
const TAKEN: &[u8] = b"SET\r\n$38\r\nsgw:t:";

/// What is sent when a session is opened.
const OPENED: &[u8] = b"\r\nsomebody";

/// What is sent with a script on the key of a token.
const SCRIPT: &[u8] = b"\r\n1\r\n$38\r\nsgw:t:";

/// A token that was brought is its session's for as long as that lives, and nobody's if none was opened, whichever request
/// on the way to that was lost, or its reply.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_brought_leads_to_its_session_whatever_was_lost() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let gateway = gateway_on(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    let admin = gateway.admin();
    let harms = [TAKEN, OPENED, SCRIPT]
        .into_iter()
        .flat_map(|word| [Mode::CutBefore(word), Mode::CutBehind(word)]);
    let mut opened = 0;
    for (number, harm) in harms.enumerate() {
        let token = format!("a-token-of-a-login-framework-{number}-for-u");
        let open = |login: String| {
            let wanted = json!({"login_id": login, "token": token});
            admin.post("/v1/sessions").json(&wanted)
        };
        let (login, other) = (format!("somebody-{number}"), format!("another-{number}"));
        proxy.set(harm);
        let status = open(login.clone()).await.status.as_u16();
        assert!([201, 503].contains(&status), "{harm:?}: {status}");
        proxy.set(Mode::Pass);
        let lives = sessions_of(&admin, &login).await == 1;
        assert!(lives || status == 503, "{harm:?}");
        pass_a_minute(&server).await;
        let verify = || {
            admin
                .post("/v1/tokens/verify")
                .json(&json!({"token": token}))
        };
        let verified = patiently(verify).await.value(200);
        assert_eq!(verified["active"], lives, "{harm:?}");
        let again = patiently(|| open(other.clone())).await;
        again.expect(if lives { 409 } else { 201 });
        opened += usize::from(lives);
    }
    assert!((1..6).contains(&opened), "{opened}");
}
