//! The use cases.

pub mod idempotency;
pub mod profile;
