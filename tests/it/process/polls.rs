//! Gateways on one Redis, and who asks them for events: a question of which nothing comes costs Redis nothing, and places
//! are short.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::redis::{RedisServer, eventually};
use crate::support::{Client, Follow, Gateway, Launch, open};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);
/// The longest place in a feed of ten events a second.
const SHORT: usize = 200;

async fn gateway_on(redis: &RedisServer) -> Gateway {
    let launch = Launch::new().unset("SGW_STORE");
    launch.set("SGW_STORE", &redis.url()).start().await
}

/// Gateways that read nothing for so long have read all that they want to know of what was before them.
const CALM: Duration = Duration::from_millis(500);

/// How often a range of a stream was read so far: every reading of a stream reads one; heartbeats and sweeps read none.
async fn ranges(redis: &RedisServer) -> u64 {
    let info: String = redis.ask("INFO commandstats").await;
    let calls = info
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_xrange:calls="));
    let calls = calls.and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// What comes after a place, and the place after that.
async fn poll(client: &Client, place: &str) -> (Vec<Value>, String) {
    let call = client.get("/v1/events").header("last-event-id", place);
    let answer = call.await;
    let page = answer.value(200);
    assert_eq!(page["next_cursor"], Value::Null);
    let items = page["items"].as_array().unwrap().clone();
    (items, answer.header("last-event-id").to_owned())
}

/// The end of the feed, once the gateway has heard all of it.
async fn heard_end(redis: &RedisServer, client: &Client) -> String {
    let page = client.get("/v1/events?limit=1000").await;
    let place = page.header("last-event-id").to_owned();
    eventually(DEADLINE, || async {
        let before = ranges(redis).await;
        tokio::time::sleep(CALM).await;
        assert_eq!(poll(client, &place).await.0, Vec::<Value>::new());
        ranges(redis).await == before
    })
    .await;
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_of_an_idle_feed_asks_nobody() {
    let redis = RedisServer::start().await;
    let [a, b] = [gateway_on(&redis).await, gateway_on(&redis).await];
    let (a, b) = (a.admin(), b.admin());
    for number in 0..20 {
        open(&a, json!({"login_id": format!("user {number}")})).await;
    }
    let mut place = heard_end(&redis, &a).await;
    let before = ranges(&redis).await;
    for _ in 0..100 {
        let (items, next) = poll(&a, &place).await;
        assert_eq!(items, Vec::<Value>::new());
        place = next;
    }
    assert_eq!(ranges(&redis).await, before);

    // What another gateway did is read where it stands, and nowhere else.
    let session = open(&b, json!({"login_id": "another"})).await;
    let before = ranges(&redis).await;
    eventually(DEADLINE, || async { !poll(&a, &place).await.0.is_empty() }).await;
    let told = poll(&a, &place).await.0;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["session_id"], session.id);
    let read = ranges(&redis).await - before;
    assert!(read < 50, "{read} ranges for one event");

    let uncached = a.get("/v1/events").header("cache-control", "no-cache");
    let before = ranges(&redis).await;
    uncached.header("last-event-id", &place).await.expect(200);
    assert!(ranges(&redis).await - before >= 257);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_the_gateway_that_did_something_is_told_of_it_at_once() {
    let redis = RedisServer::start().await;
    let gateway = gateway_on(&redis).await;
    let client = gateway.admin();
    let mut place = heard_end(&redis, &client).await;
    for number in 0..50 {
        let session = open(&client, json!({"login_id": format!("user {number}")})).await;
        let (items, next) = poll(&client, &place).await;
        assert_eq!(items.len(), 1, "{items:?}");
        assert_eq!(items[0]["session_id"], session.id);
        place = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_short_and_exact_on_every_gateway() {
    const EVENTS: usize = 30;
    let redis = RedisServer::start().await;
    let [a, b] = [gateway_on(&redis).await, gateway_on(&redis).await];
    let (a, b) = (a.admin(), b.admin());
    open(&b, json!({"login_id": "before"})).await;
    let mut follow = Follow::begin(&a, "/v1/events?types=session.created", None).await;
    follow.next().await.unwrap();
    let (mut logins, mut places) = (Vec::new(), Vec::new());
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for number in 0..EVENTS {
        ticks.tick().await;
        let login = format!("user {number}");
        open(&b, json!({"login_id": login})).await;
        let told = follow.next().await.unwrap();
        assert_eq!(told["login_id"], login);
        logins.push(told["login_id"].clone());
        places.push(follow.last_id.clone().unwrap());
    }
    for (at, place) in places.iter().enumerate() {
        assert!(place.len() <= SHORT, "{} bytes: {place}", place.len());
        let client = if at % 2 == 0 { &a } else { &b };
        let uncached = client.get("/v1/events?types=session.created");
        let uncached = uncached.header("cache-control", "no-cache");
        let page = uncached.header("last-event-id", place).await.value(200);
        let rest = page["items"].as_array().unwrap().iter();
        let rest: Vec<Value> = rest.map(|event| event["login_id"].clone()).collect();
        assert_eq!(rest, logins[at + 1..]);
    }
    let mut after = String::new();
    for login in [&json!("before")].into_iter().chain(&logins[..EVENTS / 2]) {
        let path = format!("/v1/events?types=session.created&limit=1{after}");
        let page = b.get(path).await.value(200);
        assert_eq!(page["items"][0]["login_id"], *login);
        let cursor = page["next_cursor"].as_str().unwrap();
        assert!(cursor.len() <= SHORT, "{} bytes", cursor.len());
        after = format!("&after={cursor}");
    }
}
