//! How a store that works is: what an operator should mend before it does harm.

use serde::Serialize;
use utoipa::ToSchema;

use super::words::growing_words;

/// How a store is that can be read and written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreHealth {
    /// What an operator should mend.
    pub warnings: Vec<StoreWarning>,
}

/// Something that an operator should mend, although requests are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreWarning {
    /// What can happen, for programs; stable.
    pub code: Risk,
    /// Where, why, and what helps.
    pub detail: String,
}

impl StoreWarning {
    /// The keyring lies in the store as it is.
    #[must_use]
    pub fn keys_in_clear() -> Self {
        Self {
            code: Risk::KeysInClear,
            detail: "the keys of the gateways lie in the store in clear; who reads it can forge cursors of lists. \
                     Let nobody else read it"
                .to_owned(),
        }
    }
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Sessions can vanish before they are over.
    SessionsCanVanish,
    /// After a crash, ended sessions can be back, and new ones gone.
    CrashesCanUndo,
    /// A failover can undo what was acknowledged.
    FailoversCanUndo,
    /// A part of the store does not answer; requests for sessions in it are refused with 503.
    PartlyUnavailable,
    /// Little room is left for what is kept.
    StoreNearlyFull,
    /// Nothing more is kept: sessions are read and end, all else is refused with 503.
    StoreFull,
    /// Time as the store has it and the wall clock differ: a restart jumps from the one to the other.
    ClockStepped,
    /// Who reads the store can forge what only the gateways should make.
    KeysInClear,
}

impl Risk {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SessionsCanVanish,
        Self::CrashesCanUndo,
        Self::FailoversCanUndo,
        Self::PartlyUnavailable,
        Self::StoreNearlyFull,
        Self::StoreFull,
        Self::ClockStepped,
        Self::KeysInClear,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionsCanVanish => "sessions_can_vanish",
            Self::CrashesCanUndo => "crashes_can_undo",
            Self::FailoversCanUndo => "failovers_can_undo",
            Self::PartlyUnavailable => "partly_unavailable",
            Self::StoreNearlyFull => "store_nearly_full",
            Self::StoreFull => "store_full",
            Self::ClockStepped => "clock_stepped",
            Self::KeysInClear => "keys_in_clear",
        }
    }
}

growing_words!(Risk, "What can happen.");

/// How the gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// The process answers.
    Alive,
    /// Requests can be served.
    Ready,
    /// Requests would fail.
    NotReady,
}
