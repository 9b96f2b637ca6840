//! What is told of the store in Redis alone, and what the contract stands on there.

mod audit;
mod failover;
mod feed;
mod keyspace;
mod memory;
mod nodes;
mod records;
mod servers;
pub(crate) mod shared;

pub(crate) use audit::audit;
pub(crate) use keyspace::Keyspace;
