//! The operations under `/v1`: one file a resource.

pub mod health;
