#![doc = include_str!("../ARCHITECTURE.md")]

pub mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
pub mod entropy;
pub mod gateway;
pub mod http;
pub mod model;
pub mod outbound;
pub mod rules;
mod seal;
pub mod server;
pub mod store;
pub mod telemetry;
