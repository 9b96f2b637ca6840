//! Asking Sentinels who the master is.

use std::collections::HashMap;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisResult, Value};
use tokio::task::JoinSet;

use super::connect::Dialer;
use super::url::Address;

#[derive(Debug)]
pub(super) struct Sentinels {
    dialer: Dialer,
    master: String,
    connections: Vec<SentinelConnection>,
}

#[derive(Debug, Clone)]
struct SentinelConnection {
    address: Address,
    connection: Option<MultiplexedConnection>,
}

/// A master, and how recent its being one is.
#[derive(Debug)]
struct Named {
    address: Address,
    epoch: u64,
}

impl Sentinels {
    pub(super) fn new(dialer: Dialer, addresses: &[Address], master: String) -> Self {
        let connections = addresses.iter().map(|address| SentinelConnection {
            address: address.clone(),
            connection: None,
        });
        Self {
            dialer,
            master,
            connections: connections.collect(),
        }
    }

    /// Where they are, and the way there.
    pub(super) fn addresses(&self) -> (&Dialer, Vec<&Address>) {
        let addresses = self
            .connections
            .iter()
            .map(|connection| &connection.address);
        (&self.dialer, addresses.collect())
    }

    /// The master that the Sentinel with the latest configuration names; others may not have heard of a failover yet.
    pub(super) async fn master(&mut self) -> Option<Address> {
        let mut asked = JoinSet::new();
        for connection in self.connections.drain(..) {
            asked.spawn(connection.ask(self.dialer.clone(), self.master.clone()));
        }
        let mut latest: Option<Named> = None;
        while let Some(answer) = asked.join_next().await {
            let Ok((connection, named)) = answer else {
                continue;
            };
            self.connections.push(connection);
            if named.as_ref().map(|it| it.epoch) > latest.as_ref().map(|it| it.epoch) {
                latest = named;
            }
        }
        latest.map(|named| named.address)
    }
}

impl SentinelConnection {
    /// A connection that gave no answer is not used again.
    async fn ask(mut self, dialer: Dialer, master: String) -> (Self, Option<Named>) {
        let connection = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => dialer.connect(&self.address).await,
        };
        let Ok(mut connection) = connection else {
            return (self, None);
        };
        match named_by(&mut connection, &master).await {
            Ok(named) => {
                self.connection = Some(connection);
                (self, named)
            }
            Err(_) => (self, None),
        }
    }
}

/// `SENTINEL MASTER` goes on naming the old master until every replica follows the new one.
async fn named_by(
    connection: &mut MultiplexedConnection,
    master: &str,
) -> RedisResult<Option<Named>> {
    let mut pipeline = redis::pipe();
    let mut ask = |question| {
        pipeline.cmd("SENTINEL").arg(question).arg(master);
    };
    ask("GET-MASTER-ADDR-BY-NAME");
    ask("MASTER");
    let answers = connection.send_packed_commands(&pipeline, 0, 2).await?;
    let mut answers = answers.into_iter();
    let (Some(Value::Array(named)), Some(fields)) = (answers.next(), answers.next()) else {
        return Ok(None);
    };
    let (host, port): (String, u16) = redis::from_redis_value(Value::Array(named))?;
    let fields: HashMap<String, String> = redis::from_redis_value(fields.extract_error()?)?;
    let epoch = fields
        .get("config-epoch")
        .and_then(|text| text.parse().ok());
    Ok(Some(Named {
        address: Address::new(&host, port),
        epoch: epoch.unwrap_or(0),
    }))
}
