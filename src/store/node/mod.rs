//! What every store needs on each node, once, whatever engine is below.
//!
//! A [`Handle`] stands between an engine and who uses it: it takes the time of operations, asks the [`cache`] and keeps it
//! right, and makes of an engine's steps what callers ask for. What engines share lies beside it: the `clock` of a
//! server, uses that are still to be written (`activity`), the `tail` of a feed and those who [`follow`] it, what of the
//! last 15 minutes must not be taken back (`recovery`), which gateways run (`presence`), tasks that begin anew when they
//! panic (`restarting`), and one load at a time of what is not kept ([`flight`]).

pub(in crate::store) mod activity;
pub mod cache;
pub(in crate::store) mod clock;
mod endings;
pub mod flight;
pub mod follow;
mod handle;
mod listeners;
mod many;
mod observer;
mod operations;
mod outcome;
pub(in crate::store) mod presence;
mod profiles;
pub(in crate::store) mod recovery;
pub(in crate::store) mod restarting;
mod services;
mod sessions;
pub(in crate::store) mod tail;
mod through;

pub use endings::EndExtent;
pub use handle::Handle;
pub(in crate::store) use listeners::Listeners;
pub(in crate::store) use observer::Observer;
