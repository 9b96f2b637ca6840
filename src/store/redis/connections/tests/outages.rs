//! Redis frozen, killed, refusing, wrong, cut off.

use super::servers::{FaultProxy, Mode, RedisServer, eventually};
use super::*;

const SHARD: Slot = Slot::Shard(7);

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_fails_requests_in_time_and_then_at_once() {
    let server = RedisServer::start().await;
    let connections = open(&server.url()).await;
    server.freeze();
    let first = failures(&connections, 200).await;
    assert!(first[197] <= BOUND, "{:?}", first[197]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let open = failures(&connections, 200).await;
    // Nobody waits for a connection any more.
    assert!(open[100] < Deadlines::default().wait, "{:?}", open[100]);
    server.thaw();
    let took = recovery(&connections, SHARD).await;
    assert!(took <= RECOVERY, "{took:?}");
}

/// Sends a request and holds up the runtime before it is handed to its socket, for longer than anybody waits.
async fn held_up<T>(request: impl Future<Output = T>) -> T {
    let busy = async { std::thread::sleep(Deadlines::default().command * 3) };
    tokio::join!(request, busy).0
}

#[tokio::test]
async fn a_runtime_that_is_held_up_is_no_silence_of_redis() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let connections = open(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    eventually(RECOVERY, || async { proxy.accepted() == 2 }).await;
    for _ in 0..5 {
        held_up(get(&connections, SHARD, "any")).await.unwrap();
        assert!(connections.health().is_ready());
    }
    assert_eq!(proxy.accepted(), 2, "a connection was made anew");
}

#[tokio::test]
async fn a_script_that_is_not_known_is_sent_itself_however_late_that_is_told() {
    let server = RedisServer::start().await;
    let connections = open(&server.url()).await;
    for number in 1..=5_i64 {
        server.ask::<()>("SCRIPT FLUSH").await;
        let added = held_up(add(&connections, SHARD, Effect::Once)).await;
        assert_eq!(added.unwrap(), Value::Int(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_found_again_after_a_longer_outage_with_few_connections() {
    let mut server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let connections = open(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    server.kill();
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        assert!(get(&connections, SHARD, "any").await.is_err());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = proxy.accepted();
    assert!(before <= 40, "{before} attempts in 6 s");
    server.run().await;
    let took = recovery(&connections, SHARD).await;
    assert!(took <= RECOVERY, "{took:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let connections = proxy.accepted() - before;
    assert!(connections <= 6, "{connections} connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_another_replication_history() {
    let mut server = RedisServer::start().await;
    let connections = open(&server.url()).await;
    let mut topology = connections.topology();
    let before = topology
        .borrow_and_update()
        .master_of(SHARD)
        .unwrap()
        .clone();
    server.kill();
    server.run().await;
    let changed = topology.wait_for(|now| {
        let master = now.master_of(SHARD).unwrap();
        master.replication_id != before.replication_id
    });
    let waited = tokio::time::timeout(RECOVERY, changed).await;
    assert!(waited.is_ok());
    assert_eq!(
        set(&connections, SHARD, "any", "1").await.unwrap(),
        Value::Okay
    );
}

#[tokio::test]
async fn nobody_there_and_a_wrong_password_stop_the_start() {
    let refused = Connections::open(&settings("redis://127.0.0.1:1")).await;
    assert!(matches!(refused, Err(OpenError::Unusable { .. })));
    let server = RedisServer::start().await;
    let url = format!("redis://nobody:wrong@127.0.0.1:{}", server.port);
    let start = Instant::now();
    let error = Connections::open(&settings(&url)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(matches!(error, OpenError::Unusable { .. }));
    assert!(!format!("{error:?}").contains("wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_later_fails_requests_until_it_is_back() {
    let server = RedisServer::start().await;
    server
        .ask::<()>("ACL SETUSER gate on >first ~* &* +@all")
        .await;
    let connections = open(&format!("redis://gate:first@127.0.0.1:{}", server.port)).await;
    server.ask::<()>("ACL SETUSER gate resetpass >second").await;
    server.ask::<i64>("CLIENT KILL USER gate").await;
    eventually(RECOVERY, || async { !connections.health().is_ready() }).await;
    assert!(get(&connections, SHARD, "any").await.is_err());
    assert!(connections.health().masters[0].error.is_some());
    server.ask::<()>("ACL SETUSER gate >first").await;
    assert!(recovery(&connections, SHARD).await <= RECOVERY);
    assert!(connections.health().is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_on_the_way_is_an_error_in_time_and_never_a_wrong_answer() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let connections = open(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    set(&connections, SHARD, "any", &"x".repeat(300))
        .await
        .unwrap();
    let harm = [
        Mode::BlackHole,
        Mode::HalfOpen,
        Mode::Garbage,
        Mode::CutAfter(100),
        Mode::Reset,
        Mode::Late(Duration::from_millis(400)),
    ];
    for mode in harm {
        proxy.set(mode);
        if mode == Mode::Reset {
            proxy.cut_all();
        }
        let until = Instant::now() + Duration::from_millis(700);
        while Instant::now() < until {
            let start = Instant::now();
            let answer = get(&connections, SHARD, "any").await;
            assert!(start.elapsed() <= BOUND, "{mode:?}: {:?}", start.elapsed());
            match answer {
                Ok(value) => assert_eq!(value, text(&"x".repeat(300)), "{mode:?}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        proxy.set(Mode::Pass);
        let took = recovery(&connections, SHARD).await;
        assert!(took <= RECOVERY, "{mode:?}: {took:?}");
    }
    proxy.set(Mode::Slice(1));
    assert_eq!(
        get(&connections, SHARD, "any").await.unwrap(),
        text(&"x".repeat(300))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_is_replaced_while_nobody_uses_it() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let connections = open(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    proxy.set(Mode::BlackHole);
    eventually(RECOVERY, || async { !connections.health().is_ready() }).await;
    proxy.set(Mode::Pass);
    eventually(RECOVERY, || async { connections.health().is_ready() }).await;
    eventually(RECOVERY, || async {
        get(&connections, SHARD, "any").await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_do_not_fail_reads() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    for _ in 0..20 {
        server.ask::<i64>("CLIENT KILL TYPE normal").await;
        get(&connections, SHARD, "any").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_is_shed() {
    let server = RedisServer::start().await;
    let connections = open(&server.url()).await;
    server.ask::<()>("CLIENT PAUSE 60 ALL").await;
    let tasks: Vec<_> = (0..6_000)
        .map(|_| {
            let connections = connections.clone();
            tokio::spawn(async move { get(&connections, SHARD, "any").await })
        })
        .collect();
    let mut shed = 0;
    for task in tasks {
        if matches!(task.await.unwrap(), Err(StoreError::Overloaded)) {
            shed += 1;
        }
    }
    assert!(shed > 0);
    assert!(recovery(&connections, SHARD).await <= RECOVERY);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_that_of_redis_within_its_error() {
    let server = RedisServer::start().await;
    let connections = open(&server.url()).await;
    let known = connections.clock(SHARD);
    let (seconds, micros): (i64, i64) = server.ask("TIME").await;
    let apart = seconds * 1_000 + micros / 1_000 - known.now.millis();
    let error = i64::try_from(known.error.as_millis()).unwrap();
    assert!(
        (-error..=error + 100).contains(&apart),
        "{apart} ms, {known:?}"
    );
    assert!(known.error < Duration::from_millis(50));
}
