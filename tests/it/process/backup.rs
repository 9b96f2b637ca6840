//! Backups: made while all goes on, restored elsewhere, and equal to what they are of.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::redis::RedisServer;
use crate::support::{Client, Gateway, Launch, Opened, open};

const BROUGHT: &str = "a-token-that-a-caller-brought-0123456789abcdef";

fn back_up(gateway: &Gateway, to: &Path) -> Output {
    let address = gateway.address().to_string();
    let launch = Launch::new()
        .unset("SGW_LISTEN")
        .set("SGW_LISTEN", &address);
    launch.arguments(&["backup", to.to_str().unwrap()]).output()
}

#[track_caller]
fn backed_up(gateway: &Gateway, to: &Path) -> PathBuf {
    let output = back_up(gateway, to);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains(" records."), "{stderr}");
    to.join("sessions.backup")
}

/// A launch on a new store, after a restore with these arguments.
fn restored(from: &Path, more: &[&str]) -> (Launch, Output) {
    let launch = Launch::new();
    let arguments = [&["restore", from.to_str().unwrap()], more].concat();
    let output = launch.clone().arguments(&arguments).output();
    (launch, output)
}

#[track_caller]
fn assert_restored(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}

/// The records of a backup: its lines but the first and the last, which tell of one moment.
fn records(backup: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(backup).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["line"], "begin");
    assert_eq!(lines[lines.len() - 1]["line"], "end");
    assert_eq!(lines[lines.len() - 1]["records"], lines.len() - 2);
    let mut records: Vec<_> = text.lines().map(str::to_owned).collect();
    records.pop();
    records.remove(0);
    records.sort();
    records
}

/// Something of every kind that is stored, and a session with the token that it had before.
async fn something_of_everything(gateway: &Gateway) -> Opened {
    let admin = gateway.admin();
    gateway.service("shop", &["session.*", "attribute.*"]).await;
    let attributes = json!({"big": "x".repeat(50_000), "n": 9_007_199_254_740_993_i64});
    let rotated = open(&admin, json!({"login_id": "ana", "attributes": attributes})).await;
    let token = json!({"token": rotated.token});
    admin
        .post("/v1/tokens/rotate")
        .json(&token)
        .await
        .expect(200);
    let brought = json!({"login_id": "bob", "token": BROUGHT});
    let create = admin.post("/v1/sessions").json(&brought);
    create.header("Idempotency-Key", "one").await.expect(201);
    let ended = open(&admin, json!({"login_id": "bob"})).await;
    admin.delete(ended.path()).await.expect(204);
    admin
        .put("/v1/logins/eve/ban")
        .json(&json!({"reason": "spam"}))
        .await
        .expect(200);
    let profile = json!({"profile": {"name": "Ana"}, "ttl_seconds": 600});
    admin
        .put("/v1/logins/ana/profile")
        .json(&profile)
        .await
        .expect(200);
    admin.get("/v1/sessions?limit=1").await.expect(200);
    rotated
}

/// Opens, changes and ends sessions until it is told to stop; those that live.
async fn go_on(admin: Client, stop: Arc<AtomicBool>) -> Vec<Opened> {
    let mut live = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let session = open(&admin, json!({"login_id": "crowd"})).await;
        let value = json!({"value": live.len()});
        admin
            .put(session.at("/attributes/n"))
            .json(&value)
            .await
            .expect(201);
        if live.len() % 2 == 0 {
            live.push(session);
        } else {
            admin.delete(session.path()).await.expect(204);
            live.push(open(&admin, json!({"login_id": "crowd"})).await);
        }
    }
    live
}

async fn is_active(client: &Client, token: &str) -> bool {
    let token = json!({"token": token, "touch": false});
    let answer = client.post("/v1/tokens/verify").json(&token).await;
    answer.value(200)["active"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_of_one_moment_and_a_quiet_one_equals_what_it_is_of() {
    let gateway = Gateway::start().await;
    let rotated = something_of_everything(&gateway).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for _ in 0..3 {
        load.spawn(go_on(gateway.admin(), Arc::clone(&stop)));
    }
    let places = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    for number in 0..3 {
        let under_load = places.path().join(format!("under-load-{number}"));
        sizes.push(records(&backed_up(&gateway, &under_load)).len());
        let (launch, output) = restored(&under_load, &[]);
        assert_restored(&output);
        let checked = launch.arguments(&["check"]).output();
        assert!(checked.status.success(), "{checked:?}");
    }
    stop.store(true, Ordering::SeqCst);
    let live = load.join_all().await.concat();
    assert!(
        sizes.is_sorted() && sizes[0] < sizes[2],
        "{sizes:?} under load"
    );

    let quiet = places.path().join("quiet");
    let of_it = records(&backed_up(&gateway, &quiet));
    let (launch, output) = restored(&quiet, &[]);
    assert_restored(&output);
    let again = launch.start().await;
    let of_restored = places.path().join("of-restored");
    assert!(
        of_it == records(&backed_up(&again, &of_restored)),
        "another store"
    );

    let (before, after) = (gateway.admin(), again.admin());
    for token in live
        .iter()
        .map(|session| &session.token)
        .chain([&rotated.token])
    {
        assert!(is_active(&after, token).await);
    }
    assert!(is_active(&after, BROUGHT).await);
    for path in [
        "/v1/services",
        "/v1/logins/crowd/sessions",
        "/v1/logins/eve/ban",
        "/v1/logins/ana/profile",
        "/v1/events?limit=1000",
    ] {
        let mut told = [
            before.get(path).await.value(200),
            after.get(path).await.value(200),
        ];
        for told in &mut told {
            // What is sealed is never the same twice.
            told.as_object_mut().unwrap().remove("next_cursor");
        }
        assert_eq!(told[0], told[1], "{path}");
    }
    // Operations go on where they were.
    let create = json!({"login_id": "bob", "token": BROUGHT});
    let repeated = after.post("/v1/sessions").json(&create);
    repeated.header("Idempotency-Key", "one").await.expect(201);
    open(&after, json!({"login_id": "late"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_backup_can_be_ended_with_their_events() {
    let gateway = Gateway::start().await;
    let rotated = something_of_everything(&gateway).await;
    let place = tempfile::tempdir().unwrap();
    backed_up(&gateway, place.path());
    gateway.admin().delete(rotated.path()).await.expect(204);

    let (launch, output) = restored(place.path(), &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("also those that have ended since"),
        "{stderr}"
    );
    assert!(is_active(&launch.start().await.admin(), &rotated.token).await);

    let (launch, output) = restored(place.path(), &["--end-sessions"]);
    assert_restored(&output);
    let again = launch.clone().start().await;
    let admin = again.admin();
    assert!(!is_active(&admin, &rotated.token).await);
    assert!(!is_active(&admin, BROUGHT).await);
    let events = admin.get("/v1/events?types=session.ended").await.value(200);
    let count = events["items"].as_array().unwrap().len();
    assert_eq!(count, 3, "{events}");
    admin.get("/v1/logins/ana/profile").await.expect(200);
    open(&admin, json!({"login_id": "ana"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_fills_nothing() {
    let mut gateway = Gateway::start().await;
    something_of_everything(&gateway).await;
    let place = tempfile::tempdir().unwrap();
    let backup = backed_up(&gateway, place.path());
    let second = back_up(&gateway, place.path());
    assert_eq!(second.status.code(), Some(1));
    gateway.signal(Signal::SIGTERM);
    gateway.ended().await;

    let whole = std::fs::read_to_string(&backup).unwrap();
    let without_last = &whole[..whole.trim_end().rfind('\n').unwrap() + 1];
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    let without_second = [&lines[..1], &lines[2..]].concat().concat();
    for (damaged, told) in [
        (without_last.to_owned(), "not whole"),
        (whole[..whole.len() / 2].to_owned(), "not whole"),
        (without_second, "not what was made"),
        (format!("{whole}{whole}"), "not what was made"),
        (
            whole.replacen("\"kind\":\"service\"", "\"kind\":\"keyring\"", 1),
            "cannot be read",
        ),
        ("something else\n".to_owned(), "line 1 of the backup"),
        (String::new(), "line 1 of the backup"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let judge = Launch::new().arguments(&["check", place.path().to_str().unwrap()]);
        std::fs::write(place.path().join("sessions.backup"), damaged).unwrap();
        assert_eq!(judge.output().status.code(), Some(1), "{told}");
        let (launch, output) = restored(place.path(), &[]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(told) && stderr.lines().count() == 1,
            "{stderr}"
        );
        std::fs::write(place.path().join("sessions.backup"), &whole).unwrap();
        assert!(judge.output().status.success());
        let restore = ["restore", place.path().to_str().unwrap()];
        let launch = launch.arguments(&restore);
        assert_restored(&launch.output());
        let twice = launch.output();
        let stderr = String::from_utf8(twice.stderr).unwrap();
        assert!(stderr.contains("not empty"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_for_who_may_do_everything_and_of_embedded_stores() {
    let gateway = Gateway::start().await;
    let every_one = [
        "session.*",
        "attribute.*",
        "login.*",
        "token.*",
        "event.*",
        "service.*",
    ];
    let manager = gateway.service("manager", &every_one).await;
    let refused = manager.post("/v1/backups").await;
    refused.problem(403, "permission_denied");
    gateway.nobody().post("/v1/backups").await.expect(401);
    let operator = gateway.service("operator", &["*"]).await;
    operator.post("/v1/backups").await.expect(200);
    let repeated = operator
        .post("/v1/backups")
        .header("Idempotency-Key", "one")
        .await;
    repeated.problem(400, "idempotency_not_possible");

    let redis = RedisServer::start().await;
    let url = redis.url();
    let launch = Launch::new().unset("SGW_STORE").set("SGW_STORE", &url);
    let gateway = launch.start().await;
    let refused = gateway.admin().post("/v1/backups").await;
    refused.problem(409, "backup_not_possible");
}
