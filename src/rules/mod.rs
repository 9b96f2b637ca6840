//! Decisions, each once and for every store: from what is there, what is asked and the present moment to what is
//! written and told, and what is answered.
//!
//! Pure functions of plain data. A store loads the facts, asks here, and writes the plan in one step.

pub mod idempotency;
mod kept;
pub mod profiles;
pub mod refusal;
pub mod services;

pub use kept::Kept;
