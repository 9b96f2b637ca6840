//! Profiles that several nodes want at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::gateways::Nodes;
use crate::store::redis::{Keyspace, shared};
use crate::support::redis::Topology;
use crate::support::{Answer, Client, Manner, TestLoader, persistently};

const PATH: &str = "/v1/logins/ana/profile";

async fn start(topology: Arc<Topology>, loader: &TestLoader, more: &[(&str, &str)]) -> Nodes {
    let url = loader.url();
    let mut variables = vec![
        ("SGW_PROFILE_LOADER_URL", url.as_str()),
        ("SGW_PROFILE_LOADER_TIMEOUT", "10s"),
    ];
    variables.extend(more);
    Nodes::start_with(Keyspace::on(topology), &variables).await
}

/// Reads so often over all nodes at once.
async fn read_at_once(nodes: &Nodes, times: usize) -> Vec<Answer> {
    let clients: Vec<Client> = nodes.admins();
    let mut reads = JoinSet::new();
    for turn in 0..times {
        let client = clients[turn % clients.len()].clone();
        reads.spawn(async move { client.get(PATH).await });
    }
    reads.join_all().await
}

async fn put(client: &Client, profile: &Value, ttl_seconds: u64) {
    let body = json!({"profile": profile, "ttl_seconds": ttl_seconds});
    client.put(PATH).json(&body).await.expect(200);
}

async fn a_thousand_misses_ask_once(topology: Arc<Topology>) {
    let profile = json!({"name": "Ana"});
    let late = Manner::profile(&profile).after(Duration::from_millis(500));
    let loader = TestLoader::start(late).await;
    let nodes = start(topology, &loader, &[]).await;
    for answer in read_at_once(&nodes, 1_000).await {
        let read = answer.value(200);
        assert_eq!(
            (&read["profile"], &read["stale"]),
            (&profile, &json!(false))
        );
    }
    assert_eq!(loader.count(), 1);
    nodes.close().await;
}

async fn a_thousand_misses_of_nobody_ask_once(topology: Arc<Topology>) {
    let late = Manner::status("404 Not Found").after(Duration::from_millis(500));
    let loader = TestLoader::start(late).await;
    let nodes = start(topology, &loader, &[]).await;
    let begun = Instant::now();
    for answer in read_at_once(&nodes, 1_000).await {
        answer.problem(404, "profile_not_found");
    }
    // That there is nobody is known for five seconds; the reads may take longer on a busy machine.
    let most = 1 + begun.elapsed().as_secs() / 5;
    assert!(loader.count() as u64 <= most, "{}", loader.count());
    nodes.close().await;
}

async fn what_one_node_writes_all_serve(topology: Arc<Topology>) {
    let (old, new) = (json!({"v": 1}), json!({"v": 2}));
    let late = Manner::profile(&old).after(Duration::from_millis(500));
    let loader = TestLoader::start(late).await;
    let nodes = start(topology, &loader, &[]).await;
    let reading = {
        let client = nodes.admin(0);
        tokio::spawn(async move { client.get(PATH).await.value(200)["profile"].clone() })
    };
    loader.until_asked(1).await;
    put(&nodes.admin(1), &new, 60).await;
    assert_eq!(
        reading.await.unwrap(),
        new,
        "a late answer overwrites nothing"
    );
    for admin in nodes.admins() {
        assert_eq!(admin.get(PATH).await.value(200)["profile"], new);
    }
    nodes.admin(2).delete(PATH).await.expect(204);
    loader.answers(Manner::profile(&json!({"v": 3})));
    for admin in nodes.admins() {
        assert_eq!(admin.get(PATH).await.value(200)["profile"]["v"], 3);
    }
    assert_eq!(loader.count(), 2);
    nodes.close().await;
}

async fn all_serve_what_is_stale_while_the_loader_is_silent(topology: Arc<Topology>) {
    let loader = TestLoader::start(Manner::Silence).await;
    let timeout = [("SGW_PROFILE_LOADER_TIMEOUT", "1s")];
    let nodes = start(topology, &loader, &timeout).await;
    let profile = json!({"v": 1});
    put(&nodes.admin(0), &profile, 1).await;
    while nodes.admin(0).get(PATH).await.value(200)["stale"] == false {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for answer in read_at_once(&nodes, 300).await {
        let read = answer.value(200);
        assert_eq!((&read["profile"], &read["stale"]), (&profile, &json!(true)));
    }
    loader.answers(Manner::profile(&json!({"v": 2})));
    let deadline = Instant::now() + Duration::from_secs(60);
    for admin in nodes.admins() {
        while admin.get(PATH).await.value(200)["stale"] == true {
            assert!(Instant::now() < deadline, "stale for ever");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_over_a_load_leaves_it_to_another() {
    let loader = TestLoader::start(Manner::Silence).await;
    let redis = Keyspace::on(shared::standalone().await);
    let launch = || {
        let launch = redis.launch().set("SGW_PROFILE_LOADER_URL", &loader.url());
        launch.set("SGW_PROFILE_LOADER_TIMEOUT", "3s")
    };
    let dying = launch().start().await;
    let other = launch().start().await;
    let admin = other.admin();
    let client = dying.admin();
    let waiting = tokio::spawn(async move { client.get(PATH).attempt().await });
    loader.until_asked(1).await;
    drop(dying);
    assert!(
        waiting.await.unwrap().is_none(),
        "its caller learns nothing"
    );
    loader.answers(Manner::profile(&json!({"v": 1})));
    let read = persistently(|| admin.get(PATH)).await.value(200);
    assert_eq!(
        (&read["profile"]["v"], &read["stale"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(loader.count(), 2);
    drop(other);
    redis.close().await;
}

/// Runs each case on one server and in a cluster.
macro_rules! with_a_loader {
    ($($case:ident),+ $(,)?) => {
        with_a_loader!(one_server = shared::standalone(); $($case),+);
        with_a_loader!(cluster = shared::cluster(); $($case),+);
    };
    ($name:ident = $topology:expr; $($case:ident),+) => {
        mod $name {
            use super::shared;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($topology.await).await;
                }
            )+
        }
    };
}

with_a_loader! {
    a_thousand_misses_ask_once,
    a_thousand_misses_of_nobody_ask_once,
    what_one_node_writes_all_serve,
    all_serve_what_is_stale_while_the_loader_is_silent,
}
