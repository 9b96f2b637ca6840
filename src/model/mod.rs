//! The words of the gateway: plain types that parse themselves and keep their own rules. Nothing here does I/O.

pub mod attribute;
pub mod event;
pub mod filter;
pub mod forward_auth;
pub mod health;
pub mod id;
pub mod json;
pub mod keyring;
pub mod limit;
pub mod login;
pub mod network;
pub mod owner;
pub mod page;
pub mod permission;
mod permission_schema;
pub mod profile;
pub mod quota;
pub mod record;
pub mod request;
pub mod rotation;
pub mod service;
pub mod session;
pub mod session_token;
mod text;
mod time;
pub mod token;
pub(crate) mod words;

pub use text::InvalidText;
pub use time::Timestamp;
