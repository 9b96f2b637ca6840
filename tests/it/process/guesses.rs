//! Tokens that nobody has: what has the form of none costs the store nothing, and of very many an operator hears.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::cached_nodes::{gateway_on, reads};
use crate::support::redis::{RedisServer, eventually};
use crate::support::{open, persistently};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// Asked of each kind; more than are told of.
const TOKENS: usize = 1_200;

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_told_of_once_and_what_is_no_token_asks_the_store_nothing() {
    let redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    let admin = gateway.admin();
    let verify = async |token: String| {
        let request = json!({"token": token});
        let answer = persistently(|| admin.post("/v1/tokens/verify").json(&request)).await;
        assert_eq!(
            answer.value(200),
            json!({"active": false, "reason": "unknown_token"})
        );
    };
    let each = async |token: fn(usize) -> String| {
        let tokens = stream::iter(0..TOKENS).map(token);
        tokens.for_each_concurrent(16, &verify).await;
    };
    each(|_| "too short".to_owned()).await;
    // Until the service is known to the node.
    eventually(DEADLINE, async || {
        let before = reads(&redis).await;
        verify("too short".to_owned()).await;
        reads(&redis).await == before
    })
    .await;
    let before = reads(&redis).await;
    each(|n| format!("sgw_{n}")).await;
    // The service may be looked up anew.
    let asked = reads(&redis).await - before;
    assert!(asked < 100, "{asked} reads for {TOKENS} that are no tokens");
    let forged = open(&admin, json!({"login_id": "ana"})).await.token;
    let forged = format!("{}AAAA", &forged[..forged.len() - 4]);
    for _ in 0..200 {
        verify(forged.clone()).await;
    }
    assert!(reads(&redis).await >= before + 200, "each is looked for");
    each(|n| format!("a-token-of-another-installation-{n:08}")).await;
    let told = gateway.stderr();
    assert_eq!(told.matches("unknown tokens within").count(), 1, "{told}");
    let metrics = admin.get("/metrics").await.expect(200).text();
    let total = metrics
        .lines()
        .find_map(|line| line.strip_prefix("sgw_unknown_tokens_total "));
    assert!(total.unwrap().parse::<usize>().unwrap() >= 3 * TOKENS);
}
