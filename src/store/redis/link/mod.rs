//! Connections to Redis: one shared multiplexed connection to one server.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncConnectionConfig, Client, Cmd, RedisError, Value};
use thiserror::Error;

use super::RedisSettings;
use crate::model::Timestamp;
use crate::store::StoreError;

/// How long anybody waits for an answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How old a reading of the server's clock may become, and how far clocks drift apart meanwhile.
const CLOCK_AGE: Duration = Duration::from_secs(1);
const CLOCK_DRIFT: Duration = Duration::from_millis(1);

/// The place of a key: its hash tag. All keys of one login share one; node-wide keys have their own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::store::redis) enum Slot {
    /// The tag of a shard of logins.
    Shard(u8),
    /// The tag of a node-wide key.
    Of(&'static str),
    /// The key's own hash spreads it.
    Hash([u8; 32]),
}

/// Whether a script may run twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store::redis) enum Effect {
    /// Twice is as good as once.
    Repeatable,
    /// It must not run again when it may have run.
    Once,
}

/// A script with its header, and the hash it is called by.
#[derive(Debug)]
pub(in crate::store::redis) struct Script {
    source: String,
    hash: String,
}

impl Script {
    /// `flags` as in the header of the script: `allow-oom`, `no-writes`.
    pub(in crate::store::redis) fn new(flags: &str, parts: &[&str]) -> Self {
        let header = match flags {
            "" => "#!lua".to_owned(),
            flags => format!("#!lua flags={flags}"),
        };
        let source = format!("{header}\n{}", parts.join("\n"));
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash }
    }
}

/// What a node knows of a server's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store::redis) struct ServerClock {
    /// The moment by that clock.
    pub(in crate::store::redis) now: Timestamp,
    /// How far off that may be.
    pub(in crate::store::redis) error: Duration,
}

/// Why Redis cannot be used.
#[derive(Debug, Error)]
#[error("Redis cannot be reached: {0}")]
pub struct OpenError(#[from] RedisError);

/// The way to the servers.
#[derive(Clone)]
pub(in crate::store::redis) struct Link {
    connection: MultiplexedConnection,
    reading: Arc<Mutex<Reading>>,
}

/// A reading of the server's clock.
#[derive(Clone, Copy)]
struct Reading {
    server: Timestamp,
    error: Duration,
    at: Instant,
}

impl Link {
    pub(in crate::store::redis) async fn open(settings: &RedisSettings) -> Result<Self, OpenError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        let client = Client::open(settings.url.as_str())?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let reading = Arc::new(Mutex::new(Reading::take(&mut connection).await?));
        tokio::spawn(keep_time(connection.clone(), Arc::downgrade(&reading)));
        Ok(Self {
            connection,
            reading,
        })
    }

    /// One round trip to the master that holds the slot, within the deadline.
    pub(in crate::store::redis) async fn command(
        &self,
        _slot: Slot,
        command: &Cmd,
    ) -> Result<Value, StoreError> {
        let mut connection = self.connection.clone();
        command
            .query_async(&mut connection)
            .await
            .map_err(unavailable)
    }

    /// Runs a script on the master that holds the slot.
    pub(in crate::store::redis) async fn script(
        &self,
        slot: Slot,
        script: &Script,
        keys: &[Vec<u8>],
        args: &[Vec<u8>],
        _effect: Effect,
    ) -> Result<Value, StoreError> {
        let mut connection = self.connection.clone();
        let call = call("EVALSHA", &script.hash, keys, args);
        let answer: Result<Value, RedisError> = call.query_async(&mut connection).await;
        match answer {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let call = self::call("EVAL", &script.source, keys, args);
                self.command(slot, &call).await
            }
            Err(error) => Err(unavailable(error)),
            Ok(value) => Ok(value),
        }
    }

    /// The same, and then waits for as many replicas as the settings ask for: here none.
    pub(in crate::store::redis) async fn replicated_script(
        &self,
        slot: Slot,
        script: &Script,
        keys: &[Vec<u8>],
        args: &[Vec<u8>],
        effect: Effect,
    ) -> Result<Value, StoreError> {
        self.script(slot, script, keys, args, effect).await
    }

    /// The clock of the master that holds the slot, as far as this node knows it.
    pub(in crate::store::redis) fn clock(&self, _slot: Slot) -> ServerClock {
        let reading = *self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        ServerClock {
            now: reading.server.plus(reading.at.elapsed()),
            error: reading.error,
        }
    }
}

impl Reading {
    async fn take(connection: &mut MultiplexedConnection) -> Result<Self, RedisError> {
        let asked = Instant::now();
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
        let at = Instant::now();
        Ok(Self {
            server: Timestamp::from_millis(seconds * 1_000 + micros / 1_000),
            error: at.duration_since(asked) + CLOCK_DRIFT,
            at,
        })
    }
}

async fn keep_time(
    mut connection: MultiplexedConnection,
    reading: std::sync::Weak<Mutex<Reading>>,
) {
    loop {
        tokio::time::sleep(CLOCK_AGE).await;
        let Some(reading) = reading.upgrade() else {
            return;
        };
        if let Ok(taken) = Reading::take(&mut connection).await {
            *reading.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        }
    }
}

fn call(name: &str, script: &str, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
    let mut call = redis::cmd(name);
    call.arg(script).arg(keys.len()).arg(keys).arg(args);
    call
}

fn unavailable(error: RedisError) -> StoreError {
    if error.is_timeout() {
        StoreError::TimedOut
    } else {
        StoreError::Unavailable(Box::new(error))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}
