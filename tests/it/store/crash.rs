//! Power cuts and `kill -9`: what was acknowledged is there, the rest is whole or absent.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use session_gateway::clock::SettableClock;
use session_gateway::model::event::EventType;
use session_gateway::model::id::SessionId;
use session_gateway::model::session::EndReason;
use session_gateway::store::SessionStore;
use session_gateway::store::embedded::EmbeddedStore;
use session_gateway::store::node::Handle;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::audit;
use super::backend::{Backend, IDLE, SETTINGS, START, draft, open_dir, target};
use super::disk::Disk;

const KILLS: usize = 5;

fn on(disk: &Disk, clock: &Arc<SettableClock>) -> Backend {
    let stores =
        EmbeddedStore::on_backend(disk.clone(), SETTINGS, Arc::<SettableClock>::clone(clock));
    Backend::over(stores.unwrap(), Arc::clone(clock))
}

/// Opens sessions, writes to them and ends every second one; answers what was acknowledged.
async fn work(
    store: Handle<dyn SessionStore>,
    stop: Arc<AtomicBool>,
) -> (Vec<SessionId>, Vec<SessionId>) {
    let (mut live, mut ended) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::SeqCst) {
        for list in [&mut live, &mut ended] {
            let session = store.create(draft("alice")).await.unwrap().session;
            list.push(session.session_id);
        }
        let last = *ended.last().unwrap();
        store.end(target(last), EndReason::Logout).await.unwrap();
    }
    (live, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for _ in 0..20 {
        let clock = Arc::new(SettableClock::at(START));
        let disk = Disk::default();
        let b = on(&disk, &clock);
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for _ in 0..4 {
            workers.spawn(work(b.stores.sessions.clone(), Arc::clone(&stop)));
        }
        while b.count().await < 50 {
            tokio::task::yield_now().await;
        }
        let acknowledged = b.feed().await.len();
        let image = disk.after_power_cut(|| rng.next_u32().is_multiple_of(2));
        stop.store(true, Ordering::SeqCst);
        workers.join_all().await;
        let feed = b.feed().await;
        drop(b);
        let after = on(&image, &clock);
        let kept = after.feed().await;
        assert!(kept.len() >= acknowledged, "an acknowledged write is lost");
        assert_eq!(kept, feed[..kept.len()], "history is another after the cut");
        let live = after.count().await;
        drop(after);
        let db = redb::Database::builder()
            .create_with_backend(image)
            .unwrap();
        audit::check(&db);
        assert!(live >= 50 - 4);
    }
}

/// Not a test of its own: the process that gets killed. It is told a directory, and says what is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test that kills it"]
async fn victim() {
    let mut dir = String::new();
    std::io::stdin().read_line(&mut dir).unwrap();
    let clock = Arc::new(SettableClock::at(START));
    let stores = open_dir(dir.trim().as_ref(), &clock);
    let mut workers = JoinSet::new();
    for _ in 0..16 {
        let store = stores.sessions.clone();
        workers.spawn(async move {
            loop {
                let session = store.create(draft("alice")).await.unwrap().session;
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {}", session.session_id).unwrap();
                out.flush().unwrap();
            }
        });
    }
    workers.join_all().await;
}

fn kill_in_write_load(dir: &TempDir, least: usize) -> Vec<SessionId> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "store::crash::victim",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = writeln!(victim.stdin.take().unwrap(), "{}", dir.path().display());
    told.unwrap();
    let mut out = BufReader::new(victim.stdout.take().unwrap());
    let mut text = String::new();
    while text.matches("acknowledged").count() < least {
        assert_ne!(
            out.read_line(&mut text).unwrap(),
            0,
            "it died by itself: {text}"
        );
    }
    victim.kill().unwrap();
    out.read_to_string(&mut text).unwrap();
    victim.wait().unwrap();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let ids = whole.filter_map(|line| line.trim().split_once("acknowledged "));
    ids.map(|(_, id)| SessionId::parse(id).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..KILLS {
        let killed = kill_in_write_load(&dir, 30 + 40 * round);
        acknowledged.extend(killed);
        let clock = Arc::new(SettableClock::at(START));
        let b = Backend::over(open_dir(dir.path(), &clock), clock);
        for session_id in &acknowledged {
            b.live(*session_id).await;
        }
    }
    let clock = Arc::new(SettableClock::at(START.plus(IDLE)));
    let b = Backend::over(open_dir(dir.path(), &clock), clock);
    b.sweep().await;
    let feed = b.feed().await;
    for session_id in &acknowledged {
        let of_it = feed
            .iter()
            .filter(|event| event.fact.session_id == Some(*session_id));
        let types: Vec<_> = of_it.map(|event| event.fact.change.event_type()).collect();
        assert_eq!(types, [EventType::SessionCreated, EventType::SessionEnded]);
    }
    drop(b);
    audit::check(&redb::Database::open(dir.path().join("sessions.redb")).unwrap());
}
