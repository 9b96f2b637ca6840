//! Measures the gateway beside its peers, in turn, on one machine, and writes what came of it. See `bench/README.md`.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are rounded anyway"
)]

use crate::settings::Settings;

mod contenders;
mod growth;
mod load;
mod machine;
mod measure;
mod process;
mod profile;
mod redis_server;
mod report;
mod rounds;
mod settings;

fn main() {
    let settings = Settings::read();
    let contenders = contenders::start(settings);
    if let Some(wanted) = settings::profile() {
        profile::profile(&contenders, &wanted);
        return;
    }
    let rounds = rounds::run(&contenders, settings);
    drop(contenders);
    let growth = growth::run(settings);
    report::write(settings, &rounds, &growth);
}
