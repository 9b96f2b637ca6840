//! Each class of error, provoked for real.

use super::servers::{RedisServer, ServerOptions, eventually};
use super::*;

const SHARD: Slot = Slot::Shard(9);

fn code(result: Result<Value, StoreError>) -> String {
    let StoreError::Unavailable(cause) = result.unwrap_err() else {
        return "another error".to_owned();
    };
    let failure = cause.downcast_ref::<crate::store::redis::connections::errors::Failure>();
    failure
        .and_then(|failure| failure.code())
        .unwrap_or("none")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_is_told_at_once_and_ends_with_its_cause() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    for (provoke, expected, cure) in [
        (
            "CONFIG SET min-replicas-to-write 3",
            "NOREPLICAS",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("CONFIG SET maxmemory 1mb", "OOM", "CONFIG SET maxmemory 0"),
        (
            "ACL SETUSER default -incrby -set -evalsha -eval",
            "NOPERM",
            "ACL SETUSER default +@all",
        ),
    ] {
        let mut operator = server.connection().await;
        tell(&mut operator, provoke).await;
        assert_eq!(code(set(&connections, SHARD, "any", "1").await), expected);
        assert_eq!(code(add(&connections, SHARD, Effect::Once).await), expected);
        tell(&mut operator, cure).await;
        set(&connections, SHARD, "any", "1").await.unwrap();
        add(&connections, SHARD, Effect::Once).await.unwrap();
    }
    assert_eq!(get(&connections, SHARD, "count").await.unwrap(), text("3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_written_stops_writes_only() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    set(&connections, SHARD, "any", "1").await.unwrap();
    let mut operator = server.connection().await;
    let mut save = redis::cmd("CONFIG");
    save.arg("SET").arg("save").arg("1000 1");
    save.exec_async(&mut operator).await.unwrap();
    server.break_snapshots();
    tell(&mut operator, "BGSAVE").await;
    eventually(Duration::from_secs(5), || async {
        set(&connections, SHARD, "any", "1").await.is_err()
    })
    .await;
    assert_eq!(code(set(&connections, SHARD, "any", "1").await), "MISCONF");
    assert_eq!(get(&connections, SHARD, "any").await.unwrap(), text("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_redis_is_unavailable_until_the_script_is_killed() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    server.ask::<()>("CONFIG SET busy-reply-threshold 10").await;
    let mut other = server.connection().await;
    let endless = tokio::spawn(async move {
        let mut command = redis::cmd("EVAL");
        command.arg("while true do end").arg(0);
        drop(command.query_async::<Value>(&mut other).await);
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut seen = String::new();
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        seen += &code(get(&connections, SHARD, "any").await);
    }
    assert!(seen.contains("BUSY"), "{seen}");
    server.ask::<()>("SCRIPT KILL").await;
    endless.await.unwrap();
    assert!(recovery(&connections, SHARD).await <= RECOVERY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_type_is_corrupt() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    server
        .ask::<i64>(&format!("LPUSH {} 1", key(SHARD, "any")))
        .await;
    let answer = get(&connections, SHARD, "any").await;
    assert!(
        matches!(answer, Err(StoreError::Corrupt { .. })),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_became_a_replica_is_left_until_it_is_a_master_again() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    set(&connections, SHARD, "any", "1").await.unwrap();
    server.ask::<()>("REPLICAOF 127.0.0.1 1").await;
    assert!(set(&connections, SHARD, "any", "2").await.is_err());
    assert!(
        get(&connections, SHARD, "any").await.is_err(),
        "a replica was read"
    );
    server.ask::<()>("REPLICAOF NO ONE").await;
    assert!(recovery(&connections, SHARD).await <= RECOVERY);
    assert_eq!(get(&connections, SHARD, "any").await.unwrap(), text("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_end_soon_on_a_master_that_became_a_replica_unseen() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    server.ask::<()>("REPLICAOF 127.0.0.1 1").await;
    eventually(RECOVERY, || async { !connections.health().is_ready() }).await;
    assert!(get(&connections, SHARD, "any").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loads_is_waited_for() {
    let mut server = RedisServer::start_with(ServerOptions {
        lines: vec![
            "key-load-delay 30000".to_owned(),
            "loading-process-events-interval-bytes 1024".to_owned(),
        ],
        ..ServerOptions::default()
    })
    .await;
    let connections = open_patiently(&server.url()).await;
    for number in 0..30 {
        set(
            &connections,
            SHARD,
            &format!("key{number}"),
            &"x".repeat(1_000),
        )
        .await
        .unwrap();
    }
    server.ask::<Value>("BGREWRITEAOF").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.kill();
    server.run().await;
    assert!(get(&connections, SHARD, "key0").await.is_err());
    assert!(recovery(&connections, SHARD).await <= Duration::from_secs(5));
    assert_eq!(
        get(&connections, SHARD, "key29").await.unwrap(),
        text(&"x".repeat(1_000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_do_not_come_are_an_error() {
    let server = RedisServer::start().await;
    let mut settings = settings(&server.url());
    settings.wait_replicas = 1;
    let connections = Connections::open(&settings).await.unwrap();
    let keys = [key(SHARD, "count").into_bytes()];
    let args = [b"1".to_vec()];
    let write = || connections.replicated_script(SHARD, &ADD, &keys, &args, Effect::Once);
    assert!(matches!(write().await, Err(StoreError::Unavailable(_))));
    let _replica = RedisServer::start_with(ServerOptions {
        lines: vec![
            format!("replicaof 127.0.0.1 {}", server.port),
            "repl-diskless-sync-delay 0".to_owned(),
        ],
        ..ServerOptions::default()
    })
    .await;
    eventually(Duration::from_secs(20), || async { write().await.is_ok() }).await;
}

async fn tell(operator: &mut redis::aio::MultiplexedConnection, line: &str) {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command.exec_async(operator).await.unwrap();
}
