//! Decisions, each once and for every store: from what is there, what is asked and the present moment to what is
//! written and told, and what is answered.
//!
//! Pure functions of plain data. A store loads the facts, asks here, and writes the plan in one step: all of it or
//! nothing, and only if the facts are still the facts.

pub mod activity;
pub mod ban;
pub mod change;
pub mod create;
pub mod end;
pub mod entry;
pub mod feed;
pub mod idempotency;
mod kept;
pub mod keyring;
pub mod lists;
pub mod operation;
pub mod plan;
pub mod profiles;
pub mod refusal;
pub mod rotate;
pub mod services;
pub mod sweep;
pub mod target;
pub mod terms;
pub mod verify;
pub mod write;

pub use kept::Kept;
