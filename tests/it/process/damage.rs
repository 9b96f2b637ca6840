//! A file that something else has damaged: what cannot be read is unknown, and a gateway that cannot start says what to
//! do, whatever the storage library makes of the bytes.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use axum::http::Method;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Gateway, Launch, Opened, open, size};

const PAGE: u64 = 4_096;

/// Sessions, and bytes of each attribute of every second one: a few, and more than the 64 MiB that are cached.
const FEW: (usize, usize) = (120, 2_000);
const MORE_THAN_CACHED: (usize, usize) = (640, 60_000);

/// A store of sessions that nobody has open, and the sessions.
struct Sound {
    file: PathBuf,
    sessions: Vec<Opened>,
    _gateway: Gateway,
}

/// After a kill, the storage library looks at all of a file when it opens it; after a clean end, only when it is asked.
async fn sound(stop: Signal, (count, large): (usize, usize)) -> Sound {
    let mut gateway = Gateway::start().await;
    let admin = gateway.admin();
    gateway.service("shop", &["session.*"]).await;
    let mut sessions = Vec::new();
    for number in 0..count {
        let text = "x".repeat(if number % 2 == 0 { large } else { 200 });
        let login_id = format!("login-{}", number % 7);
        let attributes = json!({"a": text, "b": text, "c": text, "d": text});
        let wanted = json!({"login_id": login_id, "attributes": attributes});
        sessions.push(open(&admin, wanted).await);
    }
    for ended in sessions.drain(..20) {
        admin.delete(ended.path()).await.expect(204);
    }
    gateway.signal(stop);
    gateway.ended().await;
    Sound {
        file: gateway.data().join("sessions.redb"),
        sessions,
        _gateway: gateway,
    }
}

impl Sound {
    /// A launch on a copy of it.
    fn copied(&self) -> (Launch, PathBuf) {
        let launch = Launch::new();
        let data = launch.directory().join("data");
        std::fs::create_dir(&data).unwrap();
        let copy = data.join("sessions.redb");
        std::fs::copy(&self.file, &copy).unwrap();
        (launch, copy)
    }
}

/// Flips a bit, zeroes or scrambles so many pages, and now and then cuts off what is behind a random place.
fn damage(file: &Path, pages_to_damage: u32, random: &mut fastrand::Rng) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let pages = file.metadata().unwrap().len() / PAGE;
    for _ in 0..pages_to_damage {
        damage_page(&file, random.u64(..pages) * PAGE, random);
    }
    if random.u32(..8) == 0 {
        file.set_len(random.u64(1..pages) * PAGE).unwrap();
    }
}

fn damage_page(file: &File, page: u64, random: &mut fastrand::Rng) {
    let mut bytes = [0; 4_096];
    // What lies behind a cut is zeros.
    let _read = file.read_at(&mut bytes, page).unwrap();
    match random.u32(..3) {
        0 => bytes[random.usize(..bytes.len())] ^= 1 << random.u32(..8),
        1 => bytes.fill(0),
        _ => random.fill(&mut bytes),
    }
    file.write_all_at(&bytes, page).unwrap();
}

/// What `check` says of a store. It leaves the file as it is.
fn is_sound(launch: &Launch) -> bool {
    let file = launch.directory().join("data/sessions.redb");
    let before = std::fs::read(&file).unwrap();
    let output = launch.clone().arguments(&["check"]).output();
    assert!(std::fs::read(&file).unwrap() == before, "it was changed");
    let said = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => assert!(said.contains("It is sound."), "{said}"),
        Some(1) => {
            assert!(said.contains("fault: "), "{said}{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert!(stderr.contains("data/sessions.redb is damaged"), "{stderr}");
        }
        other => panic!("{other:?} {stderr}"),
    }
    output.status.success()
}

#[expect(clippy::print_stdout, reason = "figures are read by people")]
fn tell(figures: &str) {
    println!("{figures}");
}

/// Every kind of call, and what of them was answered with 503.
async fn call_everything(gateway: &Gateway, sessions: &[Opened]) -> usize {
    let client = gateway.admin();
    let mut calls = Vec::new();
    for (number, session) in sessions.iter().enumerate() {
        let token = json!({"token": session.token});
        calls.push(client.post("/v1/tokens/verify").json(&token));
        calls.push(client.get(session.path()));
        match number % 4 {
            0 => calls.push(
                client
                    .put(session.at("/attributes/a"))
                    .json(&json!({"value": 1})),
            ),
            1 => calls.push(client.delete(session.path())),
            2 => calls.push(client.post("/v1/tokens/rotate").json(&token)),
            _ => calls.push(
                client
                    .post("/v1/sessions")
                    .json(&json!({"login_id": "new"})),
            ),
        }
    }
    for path in [
        "/v1/sessions",
        "/v1/logins/login-1",
        "/v1/events",
        "/v1/services",
        "/metrics",
    ] {
        calls.push(client.get(path));
    }
    calls.push(client.call(Method::DELETE, "/v1/logins/login-2/sessions"));
    let mut unknown = 0;
    for call in calls {
        let answer = call.attempt().await.expect("a whole answer");
        assert!(
            answer.status.as_u16() < 500 || answer.status == 503,
            "{} {}",
            answer.text(),
            gateway.stderr()
        );
        unknown += usize::from(answer.status == 503);
    }
    unknown
}

/// It lives, has told of each unknown answer at most once and of no panic, and ends when it is told to.
async fn assert_well(mut gateway: Gateway, unknown: usize) {
    gateway.nobody().get("/livez").await.expect(200);
    let stderr = gateway.stderr();
    assert!(!stderr.contains("panicked\n"), "{stderr}");
    assert!(!stderr.contains("a task panicked"), "{stderr}");
    let told = stderr.matches("could not be served").count();
    assert!(told <= unknown, "{told} lines of {unknown}: {stderr}");
    gateway.signal(Signal::SIGTERM);
    let status = gateway.ended().await;
    assert_eq!(status.code(), Some(0), "{status:?} {}", gateway.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_a_sound_file_from_one_that_is_in_use() {
    for stop in [Signal::SIGKILL, Signal::SIGTERM] {
        let sound = sound(stop, FEW).await;
        let (launch, _) = sound.copied();
        assert!(is_sound(&launch));
        let gateway = launch.start().await;
        let output = gateway.twin().arguments(&["check"]).output();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("is in use by another process"), "{stderr}");
    }
    let memory = Launch::new().unset("SGW_STORE").set("SGW_STORE", "memory:");
    let output = memory.arguments(&["check"]).output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("SGW_STORE is memory:"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_served_as_far_as_it_can_be_read_or_named_with_what_to_do() {
    let stopped = [
        sound(Signal::SIGKILL, FEW).await,
        sound(Signal::SIGTERM, FEW).await,
    ];
    let (mut ended, mut unknown_answers, mut judged_sound) = (0, 0, 0);
    for seed in 0..size("SGW_TEST_DAMAGES", 60) as u64 {
        let sound = &stopped[usize::from(seed % 2 == 0)];
        let (launch, file) = sound.copied();
        let mut random = fastrand::Rng::with_seed(seed);
        damage(&file, random.u32(1..=8), &mut random);
        let is_sound = is_sound(&launch);
        judged_sound += usize::from(is_sound);
        match launch.start_or_end().await {
            Ok(gateway) => {
                let unknown = call_everything(&gateway, &sound.sessions).await;
                assert!(!is_sound || unknown == 0, "seed {seed} was judged sound");
                assert_well(gateway, unknown).await;
                unknown_answers += unknown;
            }
            Err((status, stderr)) => {
                assert!(!is_sound, "seed {seed} was judged sound: {stderr}");
                assert_eq!(status.code(), Some(1), "seed {seed}: {stderr}");
                assert_eq!(stderr.lines().count(), 1, "seed {seed}: {stderr}");
                for told in ["data/sessions.redb", "session-gateway check"] {
                    assert!(stderr.contains(told), "seed {seed}: {stderr}");
                }
                ended += 1;
            }
        }
    }
    tell(&format!(
        "{ended} did not start, {unknown_answers} answers were unknown, {judged_sound} were judged sound"
    ));
    assert!(ended > 0 && unknown_answers > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_damaged_under_a_gateway_makes_answers_unknown() {
    let sound = sound(Signal::SIGTERM, MORE_THAN_CACHED).await;
    let mut unknown_answers = 0;
    for seed in 0..size("SGW_TEST_DAMAGES", 60) as u64 / 30 {
        let (launch, file) = sound.copied();
        let gateway = launch.start().await;
        let mut random = fastrand::Rng::with_seed(seed);
        damage(&file, 2_000, &mut random);
        let unknown = call_everything(&gateway, &sound.sessions).await;
        assert_well(gateway, unknown).await;
        unknown_answers += unknown;
    }
    tell(&format!("{unknown_answers} answers were unknown"));
    assert!(unknown_answers > 0);
}
