//! A disk that fails: a clear error, no more writes, never a wrong answer; and after a restart everything that was
//! acknowledged.

use session_gateway::model::id::SessionId;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_gateway::clock::SettableClock;
use session_gateway::model::health::Risk;
use session_gateway::model::request::Touch;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::entry::Lookup;
use session_gateway::store::embedded::{EmbeddedStore, OpenError};
use session_gateway::store::{OpError, StoreError};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::audit;
use super::backend::{
    Backend, SECOND, SETTINGS, START, access, attribute, draft, open_dir, presented, target, value,
};
use super::disk::{Disk, Fault};
use super::endings::Endings;
use super::ends::everything;

fn on(disk: &Disk) -> Backend {
    let clock = Arc::new(SettableClock::at(START));
    let stores =
        EmbeddedStore::on_backend(disk.clone(), SETTINGS, Arc::<SettableClock>::clone(&clock));
    Backend::over(stores.unwrap(), clock)
}

/// A store that acknowledged some sessions, and then its disk failed while others were being written.
async fn break_in_use(disk: &Disk, fault: Fault) -> (Backend, Vec<SessionId>) {
    let b = on(disk);
    let mut acknowledged = Vec::new();
    for _ in 0..20 {
        acknowledged.push(b.open("alice").await.session_id);
    }
    disk.fail(fault);
    let mut creates = JoinSet::new();
    for _ in 0..20 {
        let sessions = b.stores.sessions.clone();
        creates.spawn(async move { sessions.create(draft("bob")).await });
    }
    for failed in creates.join_all().await {
        let unknown = matches!(
            failed,
            Err(OpError::Store(
                StoreError::Unavailable(_) | StoreError::WritesStopped
            ))
        );
        assert!(unknown, "{failed:?}");
    }
    (b, acknowledged)
}

async fn a_failure_stops_writes_for_good(fault: Fault) {
    let disk = Disk::default();
    let (b, acknowledged) = break_in_use(&disk, fault).await;
    let sessions = &b.stores.sessions;
    let check = sessions.check().await;
    assert!(matches!(check, Err(StoreError::WritesStopped)), "{check:?}");
    let put =
        session_gateway::model::record::SessionChange::PutAttribute(attribute("late"), value("1"));
    let write = sessions.change(target(acknowledged[0]), put).await;
    assert!(matches!(
        write,
        Err(OpError::Store(StoreError::WritesStopped))
    ));
    let end = sessions.end_login(everything("nobody"), &access()).await;
    assert!(matches!(end, Err(StoreError::WritesStopped)), "{end:?}");
    for session_id in &acknowledged {
        let scope = session_gateway::model::permission::Scope::All;
        match sessions.find(*session_id, &scope).await {
            Ok(Lookup::Live(_)) | Err(StoreError::Unavailable(_)) => {}
            other => panic!("a wrong answer: {other:?}"),
        }
    }
    drop(b);
    for image in [disk.copy(), disk.after_power_cut(|| false)] {
        let again = on(&image);
        for session_id in &acknowledged {
            again.live(*session_id).await;
        }
        again.open("carol").await;
        drop(again);
        audit::check(
            &redb::Database::builder()
                .create_with_backend(image)
                .unwrap(),
        );
    }
}

#[tokio::test]
async fn a_failing_sync_stops_writes_for_good() {
    a_failure_stops_writes_for_good(Fault::Sync).await;
}

#[tokio::test]
async fn a_failing_write_stops_writes_for_good() {
    a_failure_stops_writes_for_good(Fault::Write).await;
}

#[tokio::test]
async fn a_full_disk_heals() {
    let disk = Disk::default();
    let b = on(&disk);
    let new = draft("alice");
    let alice = b.create(new.clone()).await.session.session_id;
    disk.fail(Fault::Full);
    let sessions = &b.stores.sessions;
    let text = format!("\"{}\"", "x".repeat(60_000));
    let large = || NewSession {
        attributes: [(attribute("text"), value(&text))].into_iter().collect(),
        ..draft("bob")
    };
    let mut opened = 0;
    let failed = loop {
        match sessions.create(large()).await {
            Ok(_) => opened += 1,
            Err(failed) => break failed,
        }
    };
    assert!(matches!(failed, OpError::Store(StoreError::Full)));
    for _ in 0..3 {
        let failed = sessions.create(draft("bob")).await;
        assert!(
            matches!(failed, Err(OpError::Store(StoreError::Full))),
            "{failed:?}"
        );
        b.live(alice).await;
        b.verified(&presented(&new)).await;
    }
    let health = sessions.check().await.unwrap();
    let codes: Vec<_> = health.warnings.iter().map(|warning| warning.code).collect();
    assert!(codes.contains(&Risk::StoreFull), "{codes:?}");
    disk.heal();
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(failed) = sessions.create(draft("carol")).await {
        assert!(matches!(failed, OpError::Store(StoreError::Full)));
        assert!(Instant::now() < until, "{failed:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let health = sessions.check().await.unwrap();
    let mut warnings = health.warnings.iter();
    assert!(warnings.all(|warning| warning.code != Risk::StoreFull));
    b.live(alice).await;
    assert_eq!(
        b.feed().await.len(),
        opened + 2,
        "what failed has left nothing"
    );
    drop(b);
    let image = disk.copy();
    on(&image).live(alice).await;
    audit::check(
        &redb::Database::builder()
            .create_with_backend(image)
            .unwrap(),
    );
}

#[tokio::test]
async fn a_panic_below_the_store_stops_writes_for_good() {
    a_failure_stops_writes_for_good(Fault::Panic).await;
}

#[tokio::test]
async fn a_disk_that_hangs_is_waited_for_within_a_deadline() {
    let disk = Disk::default();
    let b = on(&disk);
    let session_id = b.open("alice").await.session_id;
    disk.fail(Fault::Hang);
    tokio::time::pause();
    let mut creates = JoinSet::new();
    for _ in 0..6_000 {
        let sessions = b.stores.sessions.clone();
        creates.spawn(async move { sessions.create(draft("bob")).await });
    }
    let (mut late, mut refused) = (0, 0);
    for answer in creates.join_all().await {
        match answer {
            Err(OpError::Store(StoreError::TimedOut)) => late += 1,
            Err(OpError::Store(StoreError::Overloaded)) => refused += 1,
            other => panic!("nobody can know: {other:?}"),
        }
    }
    assert!(
        late >= 4_096 && refused >= 1,
        "{late} late, {refused} refused"
    );
    b.live(session_id).await;
    let check = b.stores.sessions.check().await;
    assert!(matches!(
        check,
        Err(StoreError::TimedOut | StoreError::Overloaded)
    ));
    disk.heal();
}

#[tokio::test]
async fn a_use_that_cannot_be_written_is_no_use() {
    let disk = Disk::default();
    let b = on(&disk);
    let new = draft("alice");
    b.create(new.clone()).await;
    disk.fail(Fault::Sync);
    let failed = b.stores.sessions.create(draft("bob")).await;
    assert!(failed.is_err());
    let sessions = &b.stores.sessions;
    let used = sessions.find_by_token(&presented(&new), Touch::Yes).await;
    assert!(matches!(
        used,
        Err(StoreError::WritesStopped | StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_use_that_is_not_yet_written_survives_a_clean_close() {
    let disk = Disk::default();
    let b = on(&disk);
    let new = draft("alice");
    b.create(new.clone()).await;
    b.advance(60 * SECOND);
    let used = b.verified(&presented(&new)).await.into_session();
    drop(b);
    let again = on(&disk);
    assert_eq!(again.live(new.session_id).await, used);
}

#[tokio::test]
async fn a_second_open_of_the_same_directory_is_refused() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(SettableClock::at(START));
    let first = open_dir(dir.path(), &clock);
    let second = EmbeddedStore::open(dir.path(), SETTINGS, Arc::<SettableClock>::clone(&clock));
    let error = second.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    let file = dir.path().join("sessions.redb");
    let line = format!("{} is in use by another process", file.display());
    assert_eq!(error.to_string(), line);
    drop(first);
    open_dir(dir.path(), &clock);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let clock = Arc::new(SettableClock::at(START));
    let error = EmbeddedStore::open(&file.join("data"), SETTINGS, clock).unwrap_err();
    assert!(matches!(&error, OpenError::Path { path, .. } if path.starts_with(&file)));
}

#[tokio::test]
async fn a_file_that_is_no_store_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("sessions.redb");
    let text = "something else entirely".repeat(1_000);
    std::fs::write(&file, &text).unwrap();
    let clock = Arc::new(SettableClock::at(START));
    let error = EmbeddedStore::open(dir.path(), SETTINGS, clock).unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[cfg(unix)]
#[tokio::test]
async fn directory_and_file_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("made/here");
    let clock = Arc::new(SettableClock::at(START));
    drop(open_dir(&dir, &clock));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("sessions.redb")), 0o600);
}
