//! Long histories in Redis, told by real gateways: what hours of use, kills and restarts leave behind.
//!
//! Sizes are what a test has time for. The environment asks for more; CONTRIBUTING.md names the variables.

use std::str::FromStr;

mod downtime;
mod fleet;
mod history;
mod one_login;
mod rolling;
mod size;
mod stored;
mod worker;

/// A size that the environment may raise.
#[expect(
    clippy::disallowed_methods,
    reason = "a longer run is asked for by the environment"
)]
fn size<T: FromStr>(name: &str, usual: T) -> T {
    std::env::var(name).map_or(usual, |text| match text.parse() {
        Ok(size) => size,
        Err(_) => panic!("{name} is no number"),
    })
}
