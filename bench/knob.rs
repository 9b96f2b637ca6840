//! How long and how much is measured.

/// What the environment says, or else as usual.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has no configuration of its own"
)]
pub(crate) fn knob(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}
