//! The first connections, and why there may be none.

use std::sync::Arc;

use deadpool_redis::redis::RedisError;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::deadline;
use super::errors::ConnectError;
use super::node::Node;
use super::routes::Routes;
use super::shared_connection::State;
use super::watcher::Watcher;
use crate::certificates::CaFileError;
use crate::store::StoreError;

/// Why the Redis store does not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file of trusted certificates gives nothing.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The trusted certificates cannot be used.
    #[error("the certificates to trust Redis by cannot be used")]
    Certificates(#[source] RedisError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// Neither Sentinels nor cluster nodes tell of any master.
    #[error("no Sentinel or cluster node that answers knows a master of Redis")]
    NoMaster,
    /// Who should tell of the masters cannot be asked.
    #[error("{address} cannot be asked who the masters of Redis are")]
    Silent {
        /// A Sentinel or a cluster node.
        address: String,
        /// Why not.
        #[source]
        cause: RedisError,
    },
    /// A master cannot be used.
    #[error("the Redis at {address} cannot be used")]
    Unusable {
        /// Where it is.
        address: String,
        /// Why.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody tells in which format is written there.
    #[error("which format is written there cannot be read")]
    Format(#[source] StoreError),
    /// Gateways write a format there that this one does not read, or is not to write.
    #[error(
        "gateways write format {noted} there, and this one goes no further than format {limit}"
    )]
    NewerFormat {
        /// The format that is written.
        noted: u64,
        /// The newest that this gateway goes along with.
        limit: u64,
    },
}

/// Returns when every master can be reached, or some after the whole wait: sessions on the others need not wait for a
/// shard that is lost. Fails at once with an error that waiting does not cure.
pub(super) async fn reach_masters(watcher: &mut Watcher, routes: &Routes) -> Result<(), OpenError> {
    let until = Instant::now() + deadline::OPEN;
    loop {
        watcher.look().await.map_err(OpenError::Certificates)?;
        let masters = routes.masters();
        for node in &masters {
            // Whether it was reached in time is seen in its state.
            let _in_time = timeout_at(until, node.tried()).await;
        }
        if routes.all_up() {
            return watcher.look().await.map_err(OpenError::Certificates);
        }
        let late = until <= Instant::now();
        let some_up = masters.iter().any(|node| node.is_up());
        let cannot = masters.iter().find_map(|node| unusable(node, late));
        match cannot {
            Some(_) if late && some_up => return Ok(()),
            Some(error) => return Err(error),
            None if late => return Err(nobody_tells(watcher).await),
            None => {}
        }
        sleep(deadline::LOOK_SOON).await;
    }
}

async fn nobody_tells(watcher: &Watcher) -> OpenError {
    match watcher.obstacle().await {
        Some((address, cause)) => OpenError::Silent {
            address: address.to_string(),
            cause,
        },
        None => OpenError::NoMaster,
    }
}

/// The error of a master that will not come, or has not come before it was too late.
fn unusable(node: &Node, late: bool) -> Option<OpenError> {
    let cause = match node.state() {
        State::Down(error) if late || error.lasts() => error,
        State::Connecting { .. } if late => Arc::new(ConnectError::Connecting),
        State::Up(_) | State::Down(_) | State::Connecting { .. } => return None,
    };
    Some(OpenError::Unusable {
        address: node.address.to_string(),
        cause,
    })
}
