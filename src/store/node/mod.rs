//! What every store needs on each node, once, whatever engine is below.
//!
//! A [`Handle`] stands between an engine and who uses it: it takes the time of operations, asks the [`cache`] and keeps it
//! right, and makes of an engine's steps what callers ask for. What engines share lies beside it: uses that are still to be
//! written ([`activity`]), the listeners of changes, and those who [`follow`] the feed.

pub(in crate::store) mod activity;
pub mod cache;
pub mod follow;
mod handle;
mod listeners;
mod observer;
mod operations;
mod others;
mod sessions;

pub use handle::Handle;
pub(in crate::store) use listeners::Listeners;
pub(in crate::store) use observer::Observer;
