//! The way in over HTTP: routes, what is read of requests and what is told. What is asked is done by `gateway`.

pub mod api;
pub mod app;
pub mod auth;
pub mod error;
pub mod extract;
mod idempotency;
pub mod middleware;
pub mod openapi;
pub mod proxy;
pub mod state;
