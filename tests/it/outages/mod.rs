//! Redis frozen, killed, replaced, moved, slow and wrong, seen through the real program over HTTP.
//!
//! With `OUTAGES=long` in the environment outages are longer, load is higher, and what was measured is printed.

mod bulk;
mod clusters;
mod dropped;
mod errors;
mod followers;
mod frozen;
mod harm;
mod latency;
mod moving;
mod overload;
mod readiness;
mod sentinels;
mod slow;
mod start;
mod traffic;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::support::{Answer, Call, Client, Gateway, Launch, Opened};

/// Within which the gateway must be well again once Redis is.
const RECOVERY: Duration = Duration::from_secs(2);

/// Generous, for what is not the gateway's: a snapshot, a rewrite, an election, a replica that links up; and for what is
/// awaited on a busy machine and nobody measures.
const SETTLED: Duration = Duration::from_secs(60);

/// Without copies, so that every request meets the store.
fn launch(store: &str) -> Launch {
    Launch::new()
        .unset("SGW_STORE")
        .set("SGW_STORE", store)
        .set("SGW_CACHE_MAX_STALENESS", "0s")
}

async fn gateway_on(store: &str) -> Gateway {
    launch(store).start().await
}

/// Asks again while the store is unknown: on a busy machine a healthy Redis can be late.
async fn patiently(call: impl Fn() -> Call) -> Answer {
    let start = Instant::now();
    loop {
        let answer = call().await;
        if answer.status != 503 || start.elapsed() > SETTLED {
            return answer;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn open(client: &Client, wanted: Value) -> Opened {
    let created = patiently(|| client.post("/v1/sessions").json(&wanted)).await;
    Opened::of(&created.value(201))
}

/// Why requests were answered by 503, as the log of a gateway tells, and how often.
fn causes(gateway: &Gateway) -> BTreeMap<String, usize> {
    let mut causes = BTreeMap::new();
    for line in gateway.stderr().lines() {
        if let Some((_, cause)) = line.split_once("the outcome: ") {
            let cause = cause.replace(|c: char| c.is_ascii_digit(), "");
            *causes.entry(cause).or_default() += 1;
        }
    }
    causes
}

/// Whether the long form was asked for.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment of the tests is not that of the gateway"
)]
fn long() -> bool {
    std::env::var("OUTAGES").is_ok_and(|form| form == "long")
}

/// Whether a few failed of many: asked in the long form only, as on a busy machine a healthy Redis is late often.
fn seldom(failed: usize, all: usize) -> bool {
    !long() || failed * 100 <= all
}

/// Tells a figure to who asked for the long form.
#[expect(clippy::print_stdout, reason = "figures are read by people")]
fn tell(figure: impl std::fmt::Display) {
    if long() {
        println!("{figure}");
    }
}
