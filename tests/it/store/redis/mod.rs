//! What is told of the store in Redis alone, and what the contract stands on there.

mod audit;
mod channel;
mod feed;
mod formats;
mod guards;
mod keyspace;
mod memory;
mod node;
mod nodes;
mod records;
mod replicas;
mod servers;
pub(crate) mod shared;
mod snapshots;

pub(crate) use audit::audit;
pub(crate) use keyspace::Keyspace;
