//! More is asked than can be done: who is refused is told so at once, in a few lines of the log, and counted.

use std::future::IntoFuture;

use serde_json::json;
use tokio::task::JoinSet;

use super::{RECOVERY, launch, open};
use crate::support::redis::{RedisServer, eventually};
use crate::support::{Answer, Client, persistently};

/// Creates at once.
const WAVE: usize = 400;
/// The most lines of the log about them: a few of each kind a minute.
const LINES: usize = 20;

async fn wave(client: &Client) -> Vec<Answer> {
    let mut creates = JoinSet::new();
    for number in 0..WAVE {
        let create = client.post("/v1/sessions");
        let create = create.json(&json!({"login_id": format!("user {number}")}));
        creates.spawn(create.into_future());
    }
    creates.join_all().await
}

fn shed(answers: &[Answer]) -> usize {
    let shed = answers.iter().filter(|answer| {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), "1");
        answer.json()["code"] == "overloaded"
    });
    shed.count()
}

fn sample(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value
        .unwrap_or_else(|| panic!("no {name}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shed_is_told_so_and_logged_by_count() {
    let redis = RedisServer::start().await;
    let launch = launch(&redis.url()).set("SGW_REDIS_TIMEOUT", "1s");
    let gateway = launch.start().await;
    let client = gateway.admin();
    let session = open(&client, json!({"login_id": "ana"})).await;
    redis.freeze();
    let first = shed(&wave(&client).await);
    let second = shed(&wave(&client).await);
    redis.thaw();
    assert!(first + second > WAVE / 4, "{first} and {second} were shed");
    let answered = || async { client.get(session.path()).await.status == 200 };
    eventually(RECOVERY, answered).await;
    let opened = persistently(|| {
        client
            .post("/v1/sessions")
            .json(&json!({"login_id": "bob"}))
    });
    opened.await.expect(201);

    let metrics = persistently(|| client.get("/metrics")).await.expect(200);
    let metrics = metrics.text();
    let counted = sample(&metrics, "sgw_redis_requests_shed_total");
    let told = u32::try_from(first + second).unwrap();
    // A connection that is down is told before anything is shed.
    assert!(
        counted > 0.0 && counted >= f64::from(told),
        "{counted} {told}"
    );
    assert!(sample(&metrics, "sgw_redis_request_limit") >= 1.0);
    let stderr = gateway.stderr();
    let lines = stderr
        .lines()
        .filter(|line| line.contains("could not be served"));
    let lines: Vec<_> = lines.collect();
    assert!((1..=LINES).contains(&lines.len()), "{} lines", lines.len());
    assert!(
        lines.iter().all(|line| line.contains("left_out=")),
        "{lines:?}"
    );
}
