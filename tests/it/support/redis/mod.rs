//! Real Redis servers on free ports, each in a directory of its own; they are killed when they are dropped, and with
//! the process of the tests, however that ends.

mod cluster;
mod port;
mod process;
mod proxy;
mod sentinel;
mod server;
mod tls;
mod topology;

pub use cluster::RedisCluster;
pub use proxy::{FaultProxy, Mode};
pub use sentinel::RedisSentinels;
pub use server::{RedisServer, ServerOptions, eventually};
pub use tls::TestCertificates;
pub use topology::{SHIPPED_USER, Topology};
