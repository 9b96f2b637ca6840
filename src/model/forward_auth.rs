//! Why a request that a reverse proxy asks about may not pass, in the order in which that is found out.

use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::InvalidText;
use super::session::{EndReason, Ended};

/// Why a condition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidCondition {
    /// What it means is not known here.
    #[error(
        "the query has an unknown parameter: it takes require, device, from and login_url; \
         end `uri` in a Caddyfile with `?`, or Caddy hands on the query of its client"
    )]
    UnknownParameter,
    /// Nothing can be read of it.
    #[error(
        "the query is not percent-encoded UTF-8; \
         end `uri` in a Caddyfile with `?`, or Caddy hands on the query of its client"
    )]
    Query,
    /// Nothing can be read of it.
    #[error("a header with a condition is not UTF-8")]
    Header,
    /// It names no value.
    #[error("a requirement must be attribute:value")]
    NoValue,
    /// It names no attribute.
    #[error("the attribute of a requirement {0}")]
    Attribute(InvalidText),
    /// It names no device.
    #[error("the required device {0}")]
    Device(InvalidText),
    /// It names no place of a token.
    #[error("`from` and X-Auth-Token-From take cookie, bearer and header, separated by commas")]
    TokenPlace,
    /// Nobody is asked there.
    #[error(
        "there is no such path below /auth/: proxies ask at nginx, forward and envoy, \
         each also with -optional, -preflight or -optional-preflight behind it"
    )]
    Path,
}

impl InvalidCondition {
    fn check(&self) -> Check {
        match self {
            Self::TokenPlace | Self::Path => Check::Token,
            Self::UnknownParameter
            | Self::Query
            | Self::Header
            | Self::NoValue
            | Self::Attribute(_)
            | Self::Device(_) => Check::Conditions,
        }
    }
}

/// The request may not pass, and this is why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denial {
    /// There is nothing to look for.
    #[error("no token was sent")]
    TokenMissing,
    /// There is too much to look for.
    #[error(
        "more than {} different tokens were sent at once",
        TokenPlace::MAX_TOKENS
    )]
    TooManyTokens,
    /// Nobody of ours asks.
    #[error("neither a trusted address nor the credentials of a service with token.verify")]
    ProxyUnauthenticated {
        /// Seconds until its next try may succeed, after too many.
        retry_after: Option<u64>,
    },
    /// What the proxy asks for cannot be read.
    #[error(transparent)]
    Misconfigured(#[from] InvalidCondition),
    /// There is nothing to look for either.
    #[error("what was sent has the form of no token")]
    TokenMalformed,
    /// The token is no session's.
    #[error("no session is known by this token")]
    TokenUnknown,
    /// It is not clear whose request it is.
    #[error("tokens of sessions of different logins were sent at once")]
    TokenAmbiguous,
    /// Its session is over.
    #[error("the session has ended")]
    Ended(Ended),
    /// A condition on attributes does not hold.
    #[error("a required attribute is missing or has another value")]
    RequirementNotMet,
    /// A condition on the device does not hold.
    #[error("the session runs on another device")]
    DeviceMismatch,
}

/// Where on a request a token may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenPlace {
    /// `X-Session-Token`.
    Header,
    /// `Authorization`, with the scheme `Bearer` or `DPoP`.
    Bearer,
    /// The cookie that is set.
    Cookie,
}

impl TokenPlace {
    /// How many different tokens of one request are looked for.
    pub const MAX_TOKENS: usize = 8;

    fn parse(word: &str) -> Result<Self, InvalidCondition> {
        match word {
            "header" => Ok(Self::Header),
            "bearer" => Ok(Self::Bearer),
            "cookie" => Ok(Self::Cookie),
            _ => Err(InvalidCondition::TokenPlace),
        }
    }
}

/// The places where a token counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlaces(Vec<TokenPlace>);

impl Default for TokenPlaces {
    fn default() -> Self {
        Self(vec![
            TokenPlace::Header,
            TokenPlace::Bearer,
            TokenPlace::Cookie,
        ])
    }
}

impl TokenPlaces {
    /// Leaves only those that this list names as well; words are separated by commas.
    pub fn narrow(&mut self, text: &str) -> Result<(), InvalidCondition> {
        let words = text.split(',').map(|word| TokenPlace::parse(word.trim()));
        let named: Vec<_> = words.collect::<Result<_, _>>()?;
        self.0.retain(|place| named.contains(place));
        Ok(())
    }

    /// Whether a token counts there.
    #[must_use]
    pub fn include(&self, place: TokenPlace) -> bool {
        self.0.contains(&place)
    }
}

/// What became of one token of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenOutcome {
    /// Its session lives, and the request is of its login.
    Counts,
    /// Its session lives, and does not decide alone whose request it is.
    Lives,
    /// Its session is over.
    Ended,
    /// No session is known by it.
    Unknown,
    /// It has the form of no token.
    Malformed,
    /// The store does not tell.
    Undecided,
    /// It was not looked for.
    NotReached,
}

/// The checks in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// There is a token, and there are not too many.
    Token,
    /// A proxy of ours asks.
    Proxy,
    /// The conditions can be read.
    Conditions,
    /// One of the tokens is that of a session that lives, and no other is that of another login.
    Session,
    /// Its attributes are as required.
    Requirements,
    /// Its device is as required.
    Device,
}

impl Check {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Token,
        Self::Proxy,
        Self::Conditions,
        Self::Session,
        Self::Requirements,
        Self::Device,
    ];

    /// What is so when it has passed.
    #[must_use]
    pub fn passed(self) -> &'static str {
        match self {
            Self::Token => "a token was sent",
            Self::Proxy => "a service with token.verify asks",
            Self::Conditions => "all conditions can be read",
            Self::Session => "the session lives",
            Self::Requirements => "all required attributes have their values",
            Self::Device => "the session runs on the required device, if there is one",
        }
    }
}

/// Whom a denial speaks to: who is not logged in may log in, who may not pass has nothing to gain from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 401.
    NotLoggedIn,
    /// 403.
    NotAllowed,
}

impl Denial {
    /// The word of `X-Auth-Reason`, the check that failed, and the kind of answer.
    #[must_use]
    pub fn facts(&self) -> (&'static str, Check, Fault) {
        match self {
            Self::TokenMissing => ("token_missing", Check::Token, Fault::NotLoggedIn),
            Self::TooManyTokens => ("token_ambiguous", Check::Token, Fault::NotLoggedIn),
            Self::ProxyUnauthenticated { .. } => {
                ("proxy_unauthenticated", Check::Proxy, Fault::NotAllowed)
            }
            Self::Misconfigured(invalid) => ("misconfigured", invalid.check(), Fault::NotAllowed),
            Self::TokenMalformed | Self::TokenUnknown => {
                ("token_invalid", Check::Session, Fault::NotLoggedIn)
            }
            Self::TokenAmbiguous => ("token_ambiguous", Check::Session, Fault::NotLoggedIn),
            Self::Ended(ended) => (reason_of(ended.reason), Check::Session, Fault::NotLoggedIn),
            Self::RequirementNotMet => (
                "requirement_not_met",
                Check::Requirements,
                Fault::NotAllowed,
            ),
            Self::DeviceMismatch => ("device_mismatch", Check::Device, Fault::NotAllowed),
        }
    }
}

fn reason_of(end: EndReason) -> &'static str {
    match end {
        EndReason::IdleTimeout | EndReason::MaxAge => "expired",
        EndReason::Logout
        | EndReason::KickedOut
        | EndReason::Replaced
        | EndReason::Banned
        | EndReason::TokenReuse
        | EndReason::Admin => "session_ended",
    }
}
