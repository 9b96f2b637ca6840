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
    #[error("the query has an unknown parameter: it takes require, device and login_url")]
    UnknownParameter,
    /// Nothing can be read of it.
    #[error("the query is not percent-encoded UTF-8")]
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
}

/// The request may not pass, and this is why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denial {
    /// There is nothing to look for.
    #[error("no token was sent")]
    TokenMissing,
    /// It is not clear whose request it is.
    #[error("different tokens were sent at once")]
    TokenAmbiguous,
    /// There is nothing to look for either.
    #[error("what was sent has the form of no token")]
    TokenMalformed,
    /// Nobody of ours asks.
    #[error("neither a trusted address nor the credentials of a service with token.verify")]
    ProxyUnauthenticated {
        /// Seconds until its next try may succeed, after too many.
        retry_after: Option<u64>,
    },
    /// What the proxy asks for cannot be read.
    #[error(transparent)]
    Misconfigured(#[from] InvalidCondition),
    /// The token is no session's.
    #[error("no session is known by this token")]
    TokenUnknown,
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

/// The checks in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// There is one token, and it has the form of one.
    Token,
    /// A proxy of ours asks.
    Proxy,
    /// The conditions can be read.
    Conditions,
    /// The session lives.
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
            Self::Token => "one token was sent",
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
            Self::TokenAmbiguous => ("token_ambiguous", Check::Token, Fault::NotLoggedIn),
            Self::TokenMalformed => ("token_invalid", Check::Token, Fault::NotLoggedIn),
            Self::ProxyUnauthenticated { .. } => {
                ("proxy_unauthenticated", Check::Proxy, Fault::NotAllowed)
            }
            Self::Misconfigured(_) => ("misconfigured", Check::Conditions, Fault::NotAllowed),
            Self::TokenUnknown => ("token_invalid", Check::Session, Fault::NotLoggedIn),
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
