//! What the gateway tells of itself while it runs: its log, what it counts, and its traces.

pub mod counters;
pub mod log;
pub(crate) mod log_limit;
pub mod metrics;
pub mod panics;
pub mod traces;
