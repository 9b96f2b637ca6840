//! Figures, not tests: run them in release with `--ignored --nocapture measure`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_gateway::clock::SystemClock;
use session_gateway::store::embedded::EmbeddedStore;
use session_gateway::store::{NewSession, SessionStore, Stores, Touch};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::backend::{MAX_AGE, SETTINGS, attribute, draft, presented, value};

fn open(dir: &TempDir) -> Stores {
    EmbeddedStore::open(dir.path(), SETTINGS, Arc::new(SystemClock)).unwrap()
}

async fn create_with(stores: &Stores, tasks: usize, each: usize) -> Duration {
    let start = Instant::now();
    let mut creators = JoinSet::new();
    for task in 0..tasks {
        let store: Arc<dyn SessionStore> = Arc::clone(&stores.sessions);
        creators.spawn(async move {
            for number in 0..each {
                let new = NewSession {
                    attributes: [
                        (attribute("role"), value("\"admin\"")),
                        (attribute("name"), value("\"Alice Example\"")),
                        (attribute("locale"), value("\"en-GB\"")),
                    ]
                    .into_iter()
                    .collect(),
                    idle_timeout: MAX_AGE,
                    ..draft(&format!("login {task} {number}"))
                };
                store.create(new).await.unwrap();
            }
        });
    }
    creators.join_all().await;
    start.elapsed()
}

fn per_second(operations: usize, elapsed: Duration) -> u128 {
    operations as u128 * 1_000_000 / elapsed.as_micros()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure_durable_creates() {
    for tasks in [1, 16, 64, 256] {
        let dir = TempDir::new().unwrap();
        let stores = open(&dir);
        let each = 40_000 / tasks / if tasks == 1 { 10 } else { 1 };
        let elapsed = create_with(&stores, tasks, each).await;
        let rate = per_second(tasks * each, elapsed);
        report(&format!("{tasks} tasks: {rate} durable creates a second"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure_verifications() {
    let dir = TempDir::new().unwrap();
    let stores = open(&dir);
    let new = draft("alice");
    stores.sessions.create(new.clone()).await.unwrap();
    let token = presented(&new);
    let start = Instant::now();
    for _ in 0..200_000 {
        let found = stores.sessions.find_by_token(&token, Touch::Yes).await;
        found.unwrap();
    }
    let rate = per_second(200_000, start.elapsed());
    report(&format!("{rate} verifications a second on one task"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure_opening_a_million_sessions() {
    let dir = TempDir::new().unwrap();
    let stores = open(&dir);
    create_with(&stores, 500, 2_000).await;
    // What a killed process leaves behind: the file as it is, never closed.
    let killed = TempDir::new().unwrap();
    let file = "sessions.redb";
    std::fs::copy(dir.path().join(file), killed.path().join(file)).unwrap();
    drop(stores);
    for (how, dir) in [("killed", &killed), ("closed", &dir)] {
        let start = Instant::now();
        let stores = open(dir);
        let opened = start.elapsed();
        let count = stores.sessions.count(None).await.unwrap();
        let bytes = dir.path().join(file).metadata().unwrap().len();
        report(&format!(
            "{count} sessions, {} bytes each, {how}: opened in {opened:?}",
            bytes / count
        ));
    }
}

fn report(line: &str) {
    use std::io::Write;

    writeln!(std::io::stdout(), "{line}").unwrap();
}
