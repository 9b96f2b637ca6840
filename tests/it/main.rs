//! The gateway from outside: in process where a settable clock is needed, else as the real program on a real socket.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect fails it"
)]

mod api;
mod auth;
mod deploy;
mod document;
mod doors;
mod edge;
mod endurance;
mod idempotency;
mod loader;
mod metrics;
mod nodes;
mod outages;
mod permissions;
mod process;
mod proxy;
mod quotas;
mod registrations;
mod requirements;
mod rules;
mod services;
mod store;
mod support;
mod use_cases;
mod walk;
