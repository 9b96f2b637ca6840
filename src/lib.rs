#![doc = include_str!("../ARCHITECTURE.md")]

pub mod api;
pub mod app;
pub mod auth;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
pub mod draw;
pub mod edge;
pub mod error;
pub mod extract;
pub mod idempotency;
pub mod metrics;
pub mod model;
pub mod openapi;
pub mod profile;
pub mod proxy;
pub mod rules;
mod seal;
pub mod server;
pub mod state;
pub mod store;
pub mod telemetry;
