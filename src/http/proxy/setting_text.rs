//! How settings for reverse proxies are written, and the rules that they may break.

use thiserror::Error;

/// The rule that a setting breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidProxySetting {
    /// No cookie can have this name.
    #[error("must be the name of a cookie: letters, digits and any of !#$%&'*+-.^_`|~")]
    Cookie,
    /// Neither yes nor no.
    #[error("must be on or off")]
    ExternalTokens,
    /// More than scheme, host and port, or less.
    #[error("must be origins like https://login.example.com, separated by commas")]
    Origin,
    /// No header can be named after it.
    #[error("must be names of letters, digits, `_`, `.` and `-`, separated by commas")]
    AttributeName,
    /// Two names would be one header.
    #[error(
        "has two names that make the same header: `_`, `.` and `-` are one there, as are large and small letters"
    )]
    Collision,
    /// The names alone would fill what a proxy reads.
    #[error(
        "has so many or so long names that their headers would not fit into the buffers of proxies"
    )]
    TooManyNames,
}

/// The parts of a list that is separated by commas.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    let list = (!text.is_empty()).then(|| text.split(','));
    list.into_iter().flatten().map(str::trim)
}
