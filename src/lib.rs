//! placeholder
pub mod api;
pub mod auth;
pub mod clock;
pub mod draw;
pub mod error;
pub mod extract;
pub mod idempotency;
pub mod model;
pub mod state;
pub mod store;
