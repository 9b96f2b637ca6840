//! Gateways with caches, on one Redis: what one has ended no other takes for live.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::redis::{FaultProxy, Mode, RedisServer, eventually};
use crate::support::{Client, Gateway, Launch, Opened, open};

/// How late a node may hear of an ending (`SGW_CACHE_MAX_STALENESS` as it is unless set).
const BOUND: Duration = Duration::from_secs(1);

/// Replies that an ending overtakes, and how many of them at a time.
const ROUNDS: usize = 1_000;
const ABREAST: usize = 10;

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) async fn gateway_on(url: &str) -> Gateway {
    let launch = Launch::new().unset("SGW_STORE").set("SGW_STORE", url);
    launch.start().await
}

/// One that hears Redis through a proxy.
async fn gateway_behind(proxy: &FaultProxy) -> Gateway {
    gateway_on(&format!("redis://127.0.0.1:{}", proxy.port)).await
}

async fn verify(client: &Client, session: &Opened) -> Value {
    let verify = json!({"token": session.token});
    let answer = client.post("/v1/tokens/verify").json(&verify).await;
    if answer.status == 200 {
        return answer.json();
    }
    answer.problem(503, "store_unavailable");
    json!({"active": "unknown"})
}

/// What Redis was asked so far, but for heartbeats and the probes of connections.
pub(super) async fn reads(redis: &RedisServer) -> u64 {
    let info: String = redis.ask("INFO commandstats").await;
    let calls = info.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let read = matches!(name, "get" | "hget" | "hgetall" | "hmget");
        read.then(|| rest.split(',').next()?.parse::<u64>().ok())?
    });
    calls.sum()
}

/// Opens a session and verifies it until the node answers from its copies.
async fn known(redis: &RedisServer, opener: &Client, client: &Client) -> Opened {
    let session = open(opener, json!({"login_id": "ana"})).await;
    eventually(DEADLINE, || async {
        assert_eq!(verify(client, &session).await["active"], true);
        let before = reads(redis).await;
        assert_eq!(verify(client, &session).await["active"], true);
        reads(redis).await == before
    })
    .await;
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_again_asks_nobody() {
    let redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    let client = gateway.admin();
    let session = known(&redis, &client, &client).await;
    let before = reads(&redis).await;
    for _ in 0..200 {
        let answer = verify(&client, &session).await;
        assert_eq!(answer["active"], true);
        assert_eq!(answer["session"]["session_id"], json!(session.id));
    }
    let asked = reads(&redis).await - before;
    assert!(asked <= 20, "{asked} reads for 200 verifications");
    let uncached = client.post("/v1/tokens/verify");
    let uncached = uncached.header("cache-control", "no-cache");
    let before = reads(&redis).await;
    uncached
        .json(&json!({"token": session.token}))
        .await
        .expect(200);
    assert_eq!(reads(&redis).await - before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ending_is_heard_of_by_every_node() {
    let redis = RedisServer::start().await;
    let [a, b] = [
        gateway_on(&redis.url()).await,
        gateway_on(&redis.url()).await,
    ];
    let (a, b) = (a.admin(), b.admin());
    for _ in 0..50 {
        let session = known(&redis, &a, &b).await;
        a.delete(session.path()).await.expect(204);
        assert_eq!(verify(&a, &session).await["active"], false);
        eventually(DEADLINE, || async {
            verify(&b, &session).await["active"] == false
        })
        .await;
        assert_eq!(verify(&b, &session).await["reason"], "logout");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_emptied_leaves_no_copy() {
    let redis = RedisServer::start().await;
    let [a, b] = [
        gateway_on(&redis.url()).await,
        gateway_on(&redis.url()).await,
    ];
    let shop = a.service("shop", &["session.read"]).await;
    let shop = shop.at(b.address());
    let session = known(&redis, &a.admin(), &b.admin()).await;
    eventually(DEADLINE, || async {
        let before = reads(&redis).await;
        shop.get("/v1/whoami").await.expect(200);
        reads(&redis).await == before
    })
    .await;
    let emptied = Instant::now();
    redis.ask::<()>("FLUSHALL").await;
    let (mut service, mut token) = (200, json!(true));
    while emptied.elapsed() < 2 * BOUND {
        let asked = Instant::now();
        service = shop.get("/v1/whoami").await.status.as_u16();
        token = verify(&b.admin(), &session).await["active"].clone();
        let is_believed = service == 200 || token == true;
        let late = asked.duration_since(emptied);
        assert!(
            !is_believed || late <= BOUND,
            "after {late:?}: {service} {token}"
        );
    }
    assert_ne!(service, 200, "who is refused very often is slowed down");
    assert_eq!(token, json!(false));
    b.admin().get("/v1/whoami").await.expect(200);
    let again = open(&a.admin(), json!({"login_id": "ana"})).await;
    assert_eq!(verify(&b.admin(), &again).await["active"], true);
    a.admin().delete(again.path()).await.expect(204);
    eventually(DEADLINE, || async {
        verify(&b.admin(), &again).await["reason"] == "logout"
    })
    .await;
}

/// Whatever the channel does: who asks later than the bound after the ending is never told that the session lives.
async fn nobody_is_told_after_the_bound(mode: Mode) {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::before(redis.port).await;
    let [a, b] = [gateway_on(&redis.url()).await, gateway_behind(&proxy).await];
    let (a, b) = (a.admin(), b.admin());
    let session = known(&redis, &a, &b).await;
    proxy.set(mode);
    a.delete(session.path()).await.expect(204);
    let ended = Instant::now();
    while ended.elapsed() < 3 * BOUND {
        let asked = Instant::now();
        let told = verify(&b, &session).await;
        if told["active"] == true {
            let late = asked.duration_since(ended);
            assert!(late <= BOUND, "told to live {late:?} after its end");
        }
    }
    proxy.set(Mode::Pass);
    eventually(DEADLINE, || async {
        verify(&b, &session).await["active"] == false
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_cut_without_a_word_is_not_believed() {
    nobody_is_told_after_the_bound(Mode::Deaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_knows_nothing_after_the_bound() {
    nobody_is_told_after_the_bound(Mode::BlackHole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_reply_that_an_ending_overtakes_leaves_no_copy() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::before(redis.port).await;
    let [a, b] = [gateway_on(&redis.url()).await, gateway_behind(&proxy).await];
    let (a, b) = (a.admin(), b.admin());
    // From here on the credentials of the service are known to the node, and its channel works.
    known(&redis, &a, &b).await;
    proxy.set(Mode::LateToAskers(Duration::from_millis(25)));
    let mut late = 0;
    for _ in 0..ROUNDS / ABREAST {
        let rounds = (0..ABREAST).map(|user| overtaken(&a, &b, user));
        let lived = join_all(rounds).await;
        late += lived.into_iter().filter(|lived| *lived).count();
    }
    assert!(late > ROUNDS / 20, "only {late} replies were overtaken");
}

/// Ends a session while the reply about it is on its way; tells whether that reply was that it lives.
async fn overtaken(a: &Client, b: &Client, user: usize) -> bool {
    let session = open(a, json!({"login_id": format!("user-{user}")})).await;
    let end = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        a.delete(session.path()).await.expect(204);
    };
    let (told, ()) = tokio::join!(verify(b, &session), end);
    let refused = || async { verify(b, &session).await["active"] == false };
    eventually(DEADLINE, refused).await;
    assert_ne!(verify(b, &session).await["active"], true);
    told["active"] == true
}
