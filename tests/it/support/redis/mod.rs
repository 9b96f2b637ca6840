//! Real Redis servers on free ports, each in a directory of its own; they are killed when they are dropped.

mod cluster;
mod proxy;
mod sentinel;
mod server;
mod tls;

pub use cluster::RedisCluster;
pub use proxy::{FaultProxy, Mode};
pub use sentinel::RedisSentinels;
pub use server::{RedisServer, ServerOptions, eventually};
pub use tls::TestCertificates;
