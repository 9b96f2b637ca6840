//! The dashboard and the scrape configuration that ship.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Told, make_use_of};
use crate::support::redis::RedisServer;
use crate::support::{Gateway, Launch};

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Every query of every panel.
fn queries(dashboard: &Value, found: &mut Vec<String>) {
    match dashboard {
        Value::Object(fields) => {
            found.extend(
                fields
                    .get("expr")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|value| queries(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// The names in a query that metrics of ours can have.
fn names(query: &str) -> BTreeSet<&str> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = ["session_", "sgw_", "http_server_", "process_"];
    words
        .filter(|word| ours.iter().any(|start| word.starts_with(start)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_asks_for_metrics_that_are_told() {
    let dashboard: Value = serde_json::from_str(&shipped("grafana/session-gateway.json")).unwrap();
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    assert!(asked.len() >= 10, "{asked:?}");
    let redis = RedisServer::start().await;
    let launch = Launch::new().unset("SGW_STORE");
    let gateway = launch.set("SGW_STORE", &redis.url()).start().await;
    make_use_of(&gateway).await;
    let told = Told::whole_by(&gateway.nobody()).await;
    let known: BTreeSet<_> = told.names().collect();
    for query in &asked {
        assert!(!names(query).is_empty(), "{query}");
        for name in names(query) {
            assert!(known.contains(name), "{name} of {query} is not told");
        }
    }
}

/// A test for promtool: what is told, for two hours, and for each query a question and the answer it must have.
fn judged(told: &[String], queries: &[String], question: &str, answer: &Value) -> Value {
    let series = told.iter().map(|sample| {
        let (name, value) = sample.rsplit_once(' ').unwrap();
        json!({"series": name, "values": format!("{value}x120")})
    });
    let asked = queries.iter().map(|query| {
        let query = query.replace("$__rate_interval", "5m");
        let query = query.replace("$job", "session-gateway");
        let expression = question.replace("QUERY", &format!("({query})"));
        json!({"expr": expression, "eval_time": "2h", "exp_samples": answer})
    });
    json!({
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": asked.collect::<Vec<_>>(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_says_a_number_of_a_gateway_that_nobody_has_used_and_nothing_without_one() {
    let dashboard: Value = serde_json::from_str(&shipped("grafana/session-gateway.json")).unwrap();
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    let gateway = Gateway::start().await;
    let told = Told::whole_by(&gateway.nobody()).await.scraped();
    // What is no number is not equal to itself.
    let is_number = "count(QUERY == QUERY) > bool 0";
    let yes = json!([{"labels": "{}", "value": 1}]);
    let tests = json!({"tests": [
        judged(&told, &asked, is_number, &yes),
        judged(&[], &asked, "count(QUERY)", &json!([])),
    ]});
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tests.to_string()).unwrap();
    let judged = Command::new("promtool")
        .args(["test", "rules"])
        .arg(file.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{told}");
}

#[test]
fn the_sample_of_a_scrape_configuration_is_sound() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus.yml");
    let checked = Command::new("promtool")
        .args(["check", "config"])
        .arg(path)
        .output()
        .expect(
            "promtool is installed; on Debian it is in the package prometheus, see tests/setup.sh",
        );
    let told = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{told}");
}
