//! Endings of many through a pause of Redis, lost replies and an outage: each answer tells what was done, and its cursor
//! goes on with the rest.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{RECOVERY, gateway_on, open};
use crate::endurance::size::copy;
use crate::support::redis::{FaultProxy, Mode, RedisServer, eventually};
use crate::support::{Call, Gateway, feed};

/// Within which an ending of many is answered.
const ANSWERED: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);
/// Within which the sweep has ended what a ban has left to it.
const SWEPT: Duration = Duration::from_secs(60);

struct Site {
    redis: RedisServer,
    proxy: FaultProxy,
    gateway: Gateway,
}

impl Site {
    /// So many sessions of one login, on devices of one kind.
    async fn with(sessions: usize) -> Self {
        let redis = RedisServer::start().await;
        let proxy = FaultProxy::before(redis.port).await;
        let gateway = gateway_on(&format!("redis://127.0.0.1:{}", proxy.port)).await;
        let model = open(&gateway.admin(), json!({"login_id": "u", "device": "tv"})).await;
        let mut connection = redis.blocking_connection();
        copy(&mut connection, "u", &json!(model.id), sessions - 1);
        let site = Self {
            redis,
            proxy,
            gateway,
        };
        assert_eq!(site.left().await, sessions);
        site
    }

    /// How many sessions are left, as Redis has them.
    async fn left(&self) -> usize {
        let keys: Vec<Vec<u8>> = self.redis.ask("KEYS sgw:*:l:*").await;
        let Some(key) = keys.first() else { return 0 };
        let mut connection = self.redis.connection().await;
        let mut count = deadpool_redis::redis::cmd("ZCARD");
        count.arg(key);
        count.query_async(&mut connection).await.unwrap()
    }

    async fn fewer_than(&self, sessions: usize) {
        eventually(RECOVERY, || async { self.left().await < sessions }).await;
    }

    fn end_all(&self, cursor: &Value) -> Call {
        let cursor = cursor.as_str().map(|cursor| format!("?cursor={cursor}"));
        let path = format!("/v1/logins/u/sessions{}", cursor.unwrap_or_default());
        self.gateway.admin().delete(path)
    }

    fn bulk_delete(&self, cursor: &Value) -> Call {
        let body = json!({"filter": {"device": "tv"}, "cursor": cursor});
        let call = self.gateway.admin().post("/v1/sessions/bulk-delete");
        call.json(&body)
    }

    fn ban(&self) -> Call {
        let call = self.gateway.admin().put("/v1/logins/u/ban");
        call.json(&json!({"reason": "noise"}))
    }

    /// No session is told as live, and in the end each has ended once, by the ban.
    async fn assert_banned(&self, sessions: usize) {
        let list = super::patiently(|| self.gateway.admin().get("/v1/sessions?login_id=u"));
        assert_eq!(list.await.value(200)["items"], json!([]));
        eventually(SWEPT, || async { self.left().await == 0 }).await;
        self.assert_told_once(sessions).await;
    }

    fn kick_out(&self, cursor: &Value) -> Call {
        let call = self.gateway.admin().post("/v1/logins/u/kick-out");
        call.json(&json!({"reason": "out for good", "cursor": cursor}))
    }

    /// Each session has ended once.
    async fn assert_told_once(&self, sessions: usize) {
        let ended = feed(&self.gateway.admin(), "session.ended").await;
        let ids = ended.iter().map(|event| event["session_id"].to_string());
        let ids: BTreeSet<String> = ids.collect();
        assert_eq!((ended.len(), ids.len()), (sessions, sessions));
    }
}

/// Sends a request, with the cursor of each answer, until nothing is left.
async fn follow(mut cursor: Value, call: impl Fn(&Value) -> Call) -> Vec<Value> {
    let mut answers = Vec::new();
    loop {
        let asked = Instant::now();
        let answer = call(&cursor).await.value(200);
        assert!(asked.elapsed() < ANSWERED);
        cursor = answer["cursor"].clone();
        let more = answer["more"] == true;
        answers.push(answer);
        if !more {
            return answers;
        }
    }
}

fn sum(answers: &[Value], count: &str) -> u64 {
    let counts = answers.iter().map(|answer| answer[count].as_u64());
    counts.map(Option::unwrap).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_redis_amidst_eight_thousand_endings_is_waited_out() {
    const MANY: usize = 8_000;
    let site = Site::with(MANY).await;
    let (answers, ()) = tokio::join!(follow(Value::Null, |cursor| site.end_all(cursor)), async {
        for left in [MANY - 200, MANY / 2] {
            site.fewer_than(left).await;
            site.redis.freeze();
            sleep(PAUSE).await;
            site.redis.thaw();
        }
    });
    assert_eq!(sum(&answers, "count"), MANY as u64);
    let named = answers
        .iter()
        .flat_map(|answer| answer["session_ids"].as_array().unwrap());
    let named: BTreeSet<_> = named.map(|id| id.as_str().unwrap()).collect();
    assert_eq!(named.len(), MANY, "whoever needs the ids has them all");
    assert!(answers.len() >= MANY / 1_000);
    assert_eq!(site.left().await, 0);
    site.assert_told_once(MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_by_filter_waits_a_pause_out_too() {
    const MANY: usize = 1_500;
    let site = Site::with(MANY).await;
    let (answers, ()) = tokio::join!(
        follow(Value::Null, |cursor| site.bulk_delete(cursor)),
        async {
            site.fewer_than(MANY - 100).await;
            site.redis.freeze();
            sleep(PAUSE).await;
            site.redis.thaw();
        }
    );
    assert_eq!(sum(&answers, "count"), MANY as u64);
    site.assert_told_once(MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endings_whose_replies_are_lost_are_counted() {
    const MANY: usize = 200;
    let site = Site::with(MANY).await;
    // Redis has the script, so that the reply which is lost is that to an ending.
    let nobody = json!({"reason": "nobody", "device": "none"});
    let call = site.gateway.admin().post("/v1/logins/u/kick-out");
    call.json(&nobody).await.expect(200);
    site.proxy.set(Mode::CutBehind(b"out for good"));
    let (answers, ()) = tokio::join!(follow(Value::Null, |cursor| site.kick_out(cursor)), async {
        site.fewer_than(MANY).await;
        site.proxy.set(Mode::Pass);
    });
    assert_eq!(sum(&answers, "ended"), MANY as u64, "{answers:?}");
    site.assert_told_once(MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_stays_away_what_was_done_is_told_and_the_cursor_goes_on() {
    const MANY: usize = 4_000;
    let site = Site::with(MANY).await;
    let (told, ()) = tokio::join!(
        async {
            let asked = Instant::now();
            let answer = site.kick_out(&Value::Null).await.value(200);
            assert!(asked.elapsed() < ANSWERED);
            answer
        },
        async {
            site.fewer_than(MANY - 500).await;
            site.redis.freeze();
        }
    );
    assert_eq!(told["more"], true);
    let done = told["ended"].as_u64().unwrap();
    assert!(0 < done && done < MANY as u64, "{done}");
    let away = site.kick_out(&told["cursor"]).await;
    away.problem(503, "store_unavailable");
    site.redis.thaw();
    eventually(RECOVERY, || async {
        site.gateway.nobody().get("/readyz").await.status == 200
    })
    .await;
    let rest = follow(told["cursor"].clone(), |cursor| site.kick_out(cursor)).await;
    // A step that was under way when Redis froze is done when that goes on.
    let counted = done + sum(&rest, "ended");
    assert!(
        (MANY as u64 - 50..=MANY as u64).contains(&counted),
        "{counted}"
    );
    assert_eq!(site.left().await, 0);
    site.assert_told_once(MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_that_is_answered_has_ended_all_though_redis_stayed_away_amidst_it() {
    const MANY: usize = 4_000;
    for left in [MANY - 1, MANY - 500] {
        let site = Site::with(MANY).await;
        let (answer, ()) = tokio::join!(async { site.ban().await }, async {
            site.fewer_than(left + 1).await;
            site.redis.freeze();
        });
        site.redis.thaw();
        let banned = if answer.status == 503 {
            answer.problem(503, "store_unavailable");
            super::patiently(|| site.ban()).await.value(200)
        } else {
            let banned = answer.value(200);
            assert_eq!(banned["count"], MANY);
            banned
        };
        assert_eq!(banned["ban"]["reason"], "noise");
        assert_eq!(
            (&banned["more"], &banned["cursor"]),
            (&json!(false), &Value::Null)
        );
        site.assert_banned(MANY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ban_ends_is_counted_though_replies_are_lost() {
    const MANY: usize = 2_000;
    let site = Site::with(MANY).await;
    let (answer, ()) = tokio::join!(async { site.ban().await }, async {
        site.fewer_than(MANY).await;
        site.proxy.set(Mode::CutBehind(b"noise"));
        sleep(PAUSE).await;
        site.proxy.set(Mode::Pass);
    });
    assert_eq!(answer.value(200)["count"], MANY);
    site.assert_banned(MANY).await;
}
