//! A session server: microservices keep the login sessions of their users in it.
//!
//! Every change to a session is one atomic operation of the [`store`], which also appends one event to the feed.
//! Requests come in through the [`server`] and the layers of the [`edge`], are authenticated ([`auth`]) and answered
//! by the handlers in [`api`], which speak to the store through its contract alone; [`app`] puts these together.
//! The words they all share are in [`model`], which depends on none of them.

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod draw;
pub mod edge;
pub mod error;
pub mod extract;
pub mod model;
pub mod openapi;
pub mod server;
pub mod state;
pub mod store;
pub mod telemetry;
