//! The Redis store: standalone, under Sentinel, or Cluster.

mod link;

pub use link::{Health, MasterHealth, OpenError, RedisSettings, RedisUrl, UrlError, Warning};
