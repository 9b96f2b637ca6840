//! Three gateways in this process, each with a store and a port of its own, on the same keys of the same Redis.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use session_gateway::config::Config;
use session_gateway::gateway::profile::Profiles;
use session_gateway::gateway::{AdminCredential, Gateway};
use session_gateway::http::app::app;
use session_gateway::http::state::{AppState, Draining};
use session_gateway::model::network::Networks;
use session_gateway::model::token::CredentialHash;
use session_gateway::server::{Deadlines, Drained, ServerSettings, serve};
use session_gateway::store::Stores;
use session_gateway::telemetry::traces::Traces;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::store::redis::Keyspace;
use crate::support::redis::Topology;
use crate::support::{ADMIN_SECRET, Client, feed};

fn settings() -> ServerSettings {
    ServerSettings {
        max_connections: 10_000,
        max_connections_per_address: 10_000,
        trusted: Networks::default(),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::from_secs(20),
        deadlines: Deadlines {
            header: Duration::from_secs(60),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(60),
            slow: Duration::from_secs(60),
            linger: Duration::from_secs(1),
        },
    }
}

/// Longer than any test.
const FEED_RETENTION: Duration = Duration::from_secs(3_600);

pub(super) struct Nodes {
    keyspace: Keyspace,
    each: Vec<Node>,
    stop: CancellationToken,
}

struct Node {
    nobody: Client,
    stores: Stores,
    draining: Draining,
    served: JoinHandle<Drained>,
}

impl Nodes {
    pub(super) async fn start(topology: Arc<Topology>) -> Self {
        Self::start_on(Keyspace::on(topology)).await
    }

    pub(super) async fn start_on(keyspace: Keyspace) -> Self {
        Self::start_with(keyspace, &[]).await
    }

    /// With some settings changed, of those that are not about the store.
    pub(super) async fn start_with(keyspace: Keyspace, variables: &[(&str, &str)]) -> Self {
        let stop = CancellationToken::new();
        let mut each = Vec::new();
        for _ in 0..3 {
            let stores = keyspace.open(FEED_RETENTION, None).await;
            each.push(Node::start(stores, variables, stop.clone()).await);
        }
        Self {
            keyspace,
            each,
            stop,
        }
    }

    /// Calls one of the nodes as the built-in service; which one is the turn's rest.
    pub(super) fn admin(&self, turn: usize) -> Client {
        self.nobody(turn).as_service("admin", ADMIN_SECRET)
    }

    pub(super) fn nobody(&self, turn: usize) -> Client {
        self.each[turn % self.each.len()].nobody.clone()
    }

    /// Calls each of the nodes as the built-in service.
    pub(super) fn admins(&self) -> Vec<Client> {
        (0..self.each.len()).map(|turn| self.admin(turn)).collect()
    }

    /// The stores of the nodes.
    pub(super) fn stores(&self) -> impl Iterator<Item = Stores> {
        self.each.iter().map(|node| node.stores.clone())
    }

    /// The events of one type that the feed tells, all of them.
    pub(super) async fn events(&self, event_type: &str) -> Vec<Value> {
        feed(&self.admin(0), event_type).await
    }

    /// Stops the nodes, and audits their keys.
    pub(super) async fn close(self) {
        for node in &self.each {
            node.draining.begin();
        }
        self.stop.cancel();
        for node in self.each {
            assert_eq!(node.served.await.unwrap(), Drained::Whole);
        }
        self.keyspace.close().await;
    }
}

impl Node {
    async fn start(stores: Stores, variables: &[(&str, &str)], stop: CancellationToken) -> Self {
        let config = Config::from_variables(variables.iter().copied()).unwrap();
        let profiles = Profiles::open(&stores, &config.profiles).unwrap();
        let admin = AdminCredential(Some(CredentialHash::of(ADMIN_SECRET.as_bytes())));
        let stores = stores.observed(Traces::default());
        let gateway = Gateway::new(stores.clone(), config.lifetimes, admin);
        let state = AppState::new(gateway.with_profiles(profiles));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = Client::tcp(listener.local_addr().unwrap());
        let (draining, told) = (state.draining.clone(), stop.cancelled_owned());
        Self {
            nobody,
            stores,
            draining,
            served: tokio::spawn(serve([(listener.into(), app(state))], settings(), told)),
        }
    }
}

/// Whether a token is good, and if not, why.
pub(super) async fn verify(client: &Client, token: &str) -> Value {
    let request = client.post("/v1/tokens/verify");
    request.json(&json!({"token": token})).await.value(200)
}
