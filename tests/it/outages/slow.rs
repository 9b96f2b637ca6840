//! A Redis that is far away, and one that was away: no storm of commands, no storm of connections.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::latency::LongWay;
use super::traffic::{Load, Log, Outcome, Traffic};
use super::{gateway_on, launch, long, open, tell};
use crate::support::Gateway;
use crate::support::redis::{FaultProxy, Mode, RedisServer};

/// Everybody sends the next request as soon as there is an answer.
const EAGER: Load = Load {
    users: 32,
    per_second: 1_000_000,
};

/// The most round trips one after the other that a request may take: the service, the list of a login, its end. Others
/// take fewer.
const ROUND_TRIPS: u32 = 3;

/// What a request may ask of Redis on average, heartbeats and the commands inside of scripts included.
const COMMANDS_PER_REQUEST: f64 = 12.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_slows_requests_no_more_than_its_round_trips_do_and_is_asked_no_more() {
    let redis = RedisServer::start().await;
    let way = LongWay::to(redis.port).await;
    let gateway = launch(&way.url())
        .set("SGW_SWEEP_INTERVAL", "1h")
        .start()
        .await;
    let traffic = Traffic::start(&gateway, EAGER).await;
    let mut spans = Vec::new();
    for latency in [0, 5, 20, 50].map(Duration::from_millis) {
        way.set(latency, latency / 10);
        traffic.more(2 * EAGER.users).await;
        spans.push((latency, Span::measure(&redis).await));
    }
    let log = traffic.end().await;
    log.assert_never_wrong();
    let near = Stats::of(&log, &spans[0].1);
    for (latency, span) in &spans[1..] {
        let far = Stats::of(&log, span);
        tell(format_args!("{latency:?} away: {far:?}; near: {near:?}"));
        let trips = ROUND_TRIPS * latency.mul_f64(1.1);
        let implied = f64::from(u32::try_from(EAGER.users).unwrap()) / trips.as_secs_f64();
        let least = implied.min(near.per_second) / 2.0;
        assert!(!long() || far.per_second >= least, "{far:?}, {near:?}");
        assert!(far.commands <= near.commands * 1.5, "{far:?}, {near:?}");
    }
    assert!(near.commands <= COMMANDS_PER_REQUEST, "{near:?}");
}

/// A time, and what Redis was asked in it.
struct Span {
    from: Instant,
    until: Instant,
    commands: u32,
}

impl Span {
    async fn measure(redis: &RedisServer) -> Self {
        let before = commands(redis).await;
        let from = Instant::now();
        sleep(Duration::from_secs(if long() { 10 } else { 2 })).await;
        let until = Instant::now();
        Self {
            from,
            until,
            commands: commands(redis).await - before,
        }
    }
}

#[derive(Debug)]
struct Stats {
    per_second: f64,
    /// Per request.
    commands: f64,
}

impl Stats {
    fn of(log: &Log, span: &Span) -> Self {
        let within = log.within(span.from, span.until);
        let done = within.filter(|sample| sample.outcome == Outcome::Done);
        let done = f64::from(u32::try_from(done.count()).unwrap());
        Self {
            per_second: done / (span.until - span.from).as_secs_f64(),
            commands: f64::from(span.commands) / done,
        }
    }
}

/// How many commands were sent to Redis, and how many scripts sent it.
async fn commands(redis: &RedisServer) -> u32 {
    redis
        .info("total_commands_processed")
        .await
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_redis_may_take_is_set() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::before(redis.port).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    let patient = launch(&url)
        .set("SGW_REDIS_TIMEOUT", "2s")
        .set("SGW_TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await;
    let hasty = launch(&url)
        .set("SGW_REDIS_TIMEOUT", "50ms")
        .set("SGW_TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await;
    let session = open(&patient.admin(), json!({"login_id": "ada"})).await;
    proxy.set(Mode::Late(Duration::from_millis(300)));
    let verify = |gateway: &Gateway| {
        let verify = gateway.admin().post("/v1/tokens/verify");
        verify.json(&json!({"token": session.token}))
    };
    let ask = |gateway: &Gateway| {
        let ask = gateway.nobody().get("/auth/nginx");
        ask.header("X-Session-Token", &session.token)
    };
    for _ in 0..3 {
        verify(&patient).await.expect(200);
        ask(&patient).await.expect(200);
        verify(&hasty).await.problem(503, "store_unavailable");
        ask(&hasty).await.expect(503);
    }
}

/// What an outage may cost of connections: the few that are held, one probe after the other while it lasts, and those of
/// this test itself.
const CONNECTIONS: u32 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_back_meets_a_handful_of_connections() {
    let mut redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    let load = Load {
        users: 64,
        per_second: if long() { 2_000 } else { 300 },
    };
    let traffic = Traffic::start(&gateway, load).await;
    redis.kill();
    sleep(Duration::from_secs(3)).await;
    redis.run().await;
    let back = Instant::now();
    traffic.well().await;
    traffic.more(300).await;
    let connections = redis.info("total_connections_received").await;
    let log = traffic.end().await;
    log.assert_never_wrong();
    tell(format_args!(
        "away for 3 s: {connections} connections to the server that is back, well again after {:?}",
        log.unwell_after(back)
    ));
    assert!(
        connections.parse::<u32>().unwrap() <= CONNECTIONS,
        "{connections}"
    );
}
