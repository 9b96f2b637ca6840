//! How long and how much is measured, and where files go. The environment is read here only.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The knobs of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// `BENCH_SESSIONS`: sessions that the main part verifies.
    pub(crate) sessions: usize,
    /// `BENCH_ROUNDS`: how often everything is measured in turn.
    pub(crate) rounds: usize,
    /// `BENCH_SECONDS`: how long one measurement takes.
    pub(crate) span: Duration,
    /// `BENCH_FEW` and `BENCH_MANY`: sessions between which the cost of growth is measured.
    pub(crate) few: usize,
    pub(crate) many: usize,
    /// `QUICK`: only to see that all works; the figures mean little and are not kept.
    pub(crate) quick: bool,
}

impl Settings {
    pub(crate) fn read() -> Self {
        let quick = number("QUICK").is_some_and(|number| number > 0);
        let or = |name, full, quick_default| {
            number(name).unwrap_or(if quick { quick_default } else { full })
        };
        Self {
            sessions: or("BENCH_SESSIONS", 100_000, 10_000),
            rounds: or("BENCH_ROUNDS", 5, 1),
            span: Duration::from_secs(or("BENCH_SECONDS", 5, 1) as u64),
            few: or("BENCH_FEW", 10_000, 1_000),
            many: or("BENCH_MANY", 1_000_000, 20_000),
            quick,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the only reader of the environment here"
)]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn number(name: &str) -> Option<usize> {
    text(name).map(|text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
    })
}

/// The binary of the gateway: `BENCH_GATEWAY`.
pub(crate) fn gateway() -> PathBuf {
    text("BENCH_GATEWAY")
        .expect("BENCH_GATEWAY names the gateway")
        .into()
}

/// The contender to profile instead of measuring all: `PROFILE`.
pub(crate) fn profile() -> Option<String> {
    text("PROFILE")
}

/// As many threads or processes a peer gets.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

/// The binaries of the peers are beside this one.
pub(crate) fn peer(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(name)
}

/// Configuration, logs and data of the run.
pub(crate) fn run_dir() -> PathBuf {
    let dir = peer("run");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// This crate.
pub(crate) fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
