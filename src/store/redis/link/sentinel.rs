//! Asking Sentinels who the master is.

use std::collections::HashMap;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisResult};
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

    /// The master that most of those who answer name, as one Sentinel alone may have missed a failover.
    pub(super) async fn master(&mut self) -> Option<Address> {
        let mut asked = JoinSet::new();
        for seat in self.seats.drain(..) {
            asked.spawn(seat.ask(self.dialer.clone(), self.master.clone()));
        }
        let mut votes: HashMap<Address, usize> = HashMap::new();
        while let Some(answer) = asked.join_next().await {
            let Ok((seat, named)) = answer else { continue };
            self.seats.push(seat);
            if let Some(address) = named {
                *votes.entry(address).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(address, _)| address)
    }
}

impl Seat {
    /// A connection that gave no answer is not used again.
    async fn ask(mut self, dialer: Dialer, master: String) -> (Self, Option<Address>) {
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

async fn named_by(
    connection: &mut MultiplexedConnection,
    master: &str,
) -> RedisResult<Option<Address>> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let named: Option<(String, u16)> = command.query_async(connection).await?;
    Ok(named.map(|(host, port)| Address::new(&host, port)))
}
