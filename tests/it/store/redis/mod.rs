//! What is told of the store in Redis alone, and what the contract stands on there.

mod ahead;
mod audit;
mod channel;
mod crowd;
mod feed;
mod formats;
mod guards;
mod keyspace;
mod memory;
mod node;
mod nodes;
mod places;
mod records;
mod replicas;
mod servers;
pub(crate) mod shared;
mod snapshots;

pub(crate) use audit::audit;
pub(crate) use keyspace::Keyspace;
