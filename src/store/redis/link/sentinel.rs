//! Asking Sentinels who the master is.

use std::collections::HashMap;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisError, RedisResult, Value};
use tokio::task::JoinSet;

use super::connect::Dialer;
use super::url::Address;

/// The Sentinels, and the connections to them.
#[derive(Debug)]
pub(super) struct Sentinels {
    dialer: Dialer,
    master: String,
    seats: Vec<Seat>,
}

#[derive(Debug, Clone)]
struct Seat {
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
        let seats = addresses.iter().map(|address| Seat {
            address: address.clone(),
            connection: None,
        });
        Self {
            dialer,
            master,
            seats: seats.collect(),
        }
    }

    /// The master that the Sentinel with the latest configuration names; others may not have heard of a failover yet.
    /// If none names any, the error of one that did not answer.
    pub(super) async fn master(&mut self) -> Result<Address, Option<RedisError>> {
        let mut asked = JoinSet::new();
        for seat in self.seats.drain(..) {
            asked.spawn(seat.ask(self.dialer.clone(), self.master.clone()));
        }
        let mut latest: Option<Named> = None;
        let mut silence = None;
        while let Some(answer) = asked.join_next().await {
            let Ok((seat, answer)) = answer else { continue };
            self.seats.push(seat);
            match answer {
                Ok(named) if epoch(named.as_ref()) > epoch(latest.as_ref()) => latest = named,
                Ok(_) => {}
                Err(error) => silence = Some(error),
            }
        }
        latest.map(|named| named.address).ok_or(silence)
    }
}

impl Seat {
    /// A connection that gave no answer is not used again.
    async fn ask(mut self, dialer: Dialer, master: String) -> (Self, RedisResult<Option<Named>>) {
        let connection = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => dialer.connect(&self.address).await,
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => return (self, Err(error)),
        };
        let named = named_by(&mut connection, &master).await;
        if named.is_ok() {
            self.connection = Some(connection);
        }
        (self, named)
    }
}

fn epoch(named: Option<&Named>) -> Option<u64> {
    named.map(|it| it.epoch)
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
