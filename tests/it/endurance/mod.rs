//! Long histories in Redis, told by real gateways: what hours of use, kills and restarts leave behind.
//!
//! Sizes are what a test has time for. The environment asks for more; CONTRIBUTING.md names the variables.

mod bulk;
mod crowd;
mod downtime;
mod fleet;
mod followers;
mod goodput;
mod history;
mod one_login;
mod others;
mod refusals;
mod rolling;
pub(crate) mod size;
mod stored;
mod upgrade;
mod worker;
