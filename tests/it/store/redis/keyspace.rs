//! The keys of one test, in a Redis of its own or in one that others use too.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Connection, Value, cmd};
use session_gateway::clock::{Clock, SettableClock};
use session_gateway::store::Stores;
use session_gateway::store::redis::{
    Deadlines, FormatSettings, OpenError, RedisSettings, RedisStore, RedisUrl,
};

use super::super::backend::{HOUR, SETTINGS};
use super::{audit, shared};
use crate::support::Launch;
use crate::support::redis::{RedisServer, SHIPPED_USER, ServerOptions, Topology};

/// Tests ask for more at once than a gateway would, and on slow machines.
const PATIENT: Deadlines = Deadlines {
    wait: Duration::from_secs(10),
    command: Duration::from_secs(10),
    connect: Duration::from_secs(10),
};

/// What starts with one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keyspace {
    topology: Arc<Topology>,
    prefix: String,
    url: String,
    ca_file: Option<PathBuf>,
}

impl Keyspace {
    /// All keys of a server of its own.
    pub(crate) async fn own() -> Self {
        let topology = Arc::new(Topology::standalone(&ServerOptions::default()).await);
        Self {
            url: topology.url("redis", ""),
            prefix: "sgw".to_owned(),
            topology,
            ca_file: None,
        }
    }

    /// All keys of servers of its own, over TLS, as the user that ships.
    pub(crate) fn secured(topology: Arc<Topology>, ca_file: PathBuf) -> Self {
        Self {
            url: topology.url("rediss", SHIPPED_USER),
            prefix: "sgw".to_owned(),
            topology,
            ca_file: Some(ca_file),
        }
    }

    /// Keys that no other test has, on servers that know the user that ships.
    pub(crate) fn on(topology: Arc<Topology>) -> Self {
        let random = getrandom::u64().unwrap();
        Self {
            url: topology.url("redis", SHIPPED_USER),
            prefix: format!("{}{random:016x}", shared::PREFIX),
            topology,
            ca_file: None,
        }
    }

    /// A gateway on it.
    pub(crate) fn launch(&self) -> Launch {
        let launch = Launch::new()
            .unset("SGW_STORE")
            .set("SGW_STORE", &self.url)
            .set("SGW_REDIS_PREFIX", &self.prefix);
        match &self.ca_file {
            Some(file) => launch.set("SGW_REDIS_CA_FILE", file.to_str().unwrap()),
            None => launch,
        }
    }

    /// The only server.
    pub(crate) fn server(&self) -> &RedisServer {
        match self.topology.as_ref() {
            Topology::Standalone(server) => server,
            Topology::Sentinel(_) | Topology::Cluster(_) => panic!("there are several servers"),
        }
    }

    /// What every key starts with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// All servers that hold data.
    pub(crate) fn servers(&self) -> &[RedisServer] {
        self.topology.servers()
    }

    /// The store under a clock that the test moves.
    pub(crate) async fn open_at(&self, clock: &Arc<SettableClock>) -> Stores {
        let clock: Arc<dyn Clock> = Arc::<SettableClock>::clone(clock);
        self.open(SETTINGS.event_retention, Some(clock)).await
    }

    /// The store under a clock of the test's, or the server's own.
    pub(crate) async fn open(
        &self,
        event_retention: Duration,
        test_clock: Option<Arc<dyn Clock>>,
    ) -> Stores {
        let settings = RedisSettings {
            event_retention,
            test_clock,
            ..self.settings()
        };
        RedisStore::open(settings).await.unwrap()
    }

    /// The store as a gateway with these formats opens it, under the server's own clock.
    pub(crate) async fn open_with(&self, formats: FormatSettings) -> Result<Stores, OpenError> {
        let settings = RedisSettings {
            formats,
            ..self.settings()
        };
        RedisStore::open(settings).await
    }

    fn settings(&self) -> RedisSettings {
        RedisSettings {
            url: RedisUrl::parse(&self.url).unwrap(),
            ca_file: self.ca_file.clone(),
            deadlines: PATIENT,
            wait_replicas: 0,
            prefix: self.prefix.clone(),
            idle_after: SETTINGS.idle_after,
            tombstone_retention: SETTINGS.tombstone_retention,
            event_retention: SETTINGS.event_retention,
            touch_interval: SETTINGS.touch_interval,
            sweep_grace: 24 * HOUR,
            formats: FormatSettings::default(),
            test_clock: None,
        }
    }

    /// Checks what the prefix has on every master, and that nothing was forbidden to the gateway; then removes it.
    pub(crate) async fn close(self) {
        let audit = tokio::task::spawn_blocking(move || {
            for master in self.topology.first_masters() {
                let mut redis = master.blocking_connection();
                let keys = audit(&mut redis, &self.prefix);
                let denied: Vec<Value> = cmd("ACL").arg("LOG").query(&mut redis).unwrap();
                assert_eq!(denied, []);
                remove(&mut redis, &keys);
            }
        });
        audit.await.unwrap();
    }
}

fn remove(redis: &mut Connection, keys: &[Vec<u8>]) {
    for key in keys {
        cmd("UNLINK").arg(key).exec(redis).unwrap();
    }
}
