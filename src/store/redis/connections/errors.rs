//! What an error of Redis means for the request that met it.
//!
//! | error | what it tells | reaction |
//! | --- | --- | --- |
//! | `MOVED`, `ASK` | nothing was done, another master serves the slot | sent there |
//! | `NOSCRIPT` | nothing was done, this master has not seen the script | the script itself is sent, however late it is |
//! | `ASK`, to a script on several keys | some have moved, perhaps not all | again after a pause |
//! | `TRYAGAIN`, `CLUSTERDOWN`, `ERR … non local key …` | nothing was done, slots or masters are changing | again after a pause |
//! | `READONLY`, `MASTERDOWN`, `LOADING` | nothing was done, no master (yet) | connection dropped, again after a pause |
//! | `NOAUTH` | nothing was done, the login is no longer good | connection dropped, again after a pause |
//! | `NOREPLICAS`, `MISCONF`, `OOM`, `BUSY`, `NOPERM` | nothing was done, and it will last | the caller learns nothing: 503 |
//! | `WRONGTYPE` | a key is not ours | corrupt: 500 |
//! | any other | a script failed | the caller learns nothing: 503 |
//! | no answer, broken connection, garbage | anything may have been done | connection dropped; what may be repeated is, but not after silence; otherwise 503 |
//! | no answer while our own runtime was held up | anything may have been done | 503, and the connection stays |
//!
//! "Again" ends with the deadline of the operation, and for a slot that is being moved with a longer one.

use std::sync::Arc;

use deadpool_redis::redis::{self, RedisError};
use deadpool_redis::{HookError, PoolError};
use thiserror::Error;

use super::checks::{OLDEST_MAJOR, Version};
use super::patience::Elapsed;
use super::url::Address;
use crate::store::StoreError;

/// What a script is told that looks for a key which is not in a slot that is being moved; scripts do so before they
/// write anything.
const MOVING: &str = "access a non local key";

#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("no master is known for slot {0}")]
    NoMaster(u16),
    #[error("the master {address} cannot be used")]
    Down {
        address: Address,
        #[source]
        error: Arc<ConnectError>,
    },
    #[error("the master {0} is at its limit of requests under way")]
    Overloaded(Address),
    #[error("the master {0} did not answer in time")]
    TimedOut(Address),
    #[error("the connection to the master {address} broke")]
    Lost {
        address: Address,
        #[source]
        cause: RedisError,
    },
    #[error("the master {address} refused")]
    Refused {
        address: Address,
        #[source]
        cause: RedisError,
    },
    #[error("{reached} of {wanted} replicas of the master {address} have the write")]
    NotReplicated {
        address: Address,
        reached: usize,
        wanted: usize,
    },
    #[error("the master {0} was replaced before its replicas had the write")]
    Replaced(Address),
}

#[derive(Debug, Error)]
pub(super) enum ConnectError {
    #[error("the connection is being made")]
    Connecting,
    #[error("no connection can be made")]
    Connect(#[source] RedisError),
    #[error("no connection can be had")]
    Pool(#[source] PoolError),
    #[error("it does not tell of itself")]
    Report(#[source] ProbeError),
    #[error("it is not a master")]
    NotMaster,
    #[error("it is Redis {0}, and {OLDEST_MAJOR}.0 is needed")]
    TooOld(Version),
}

/// Why a heartbeat told nothing.
#[derive(Debug, Error)]
pub(super) enum ProbeError {
    #[error("it does not answer")]
    Silent(Elapsed),
    #[error(transparent)]
    Failed(#[from] RedisError),
}

/// What to do about an error that Redis answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    Follow { address: Address, asking: bool },
    SendSource,
    Pause,
    Reconnect,
    GiveUp,
}

impl RetryDecision {
    /// The first column of the module's table.
    pub(super) fn to(error: &RedisError, answered_by: &Address) -> Self {
        match error.code().unwrap_or_default() {
            "MOVED" => redirect(error, answered_by, false),
            "ASK" => redirect(error, answered_by, true),
            "NOSCRIPT" => Self::SendSource,
            "TRYAGAIN" | "CLUSTERDOWN" => Self::Pause,
            "ERR" if names_a_moving_slot(error) => Self::Pause,
            "READONLY" | "MASTERDOWN" | "LOADING" | "NOAUTH" => Self::Reconnect,
            _ => Self::GiveUp,
        }
    }
}

fn names_a_moving_slot(error: &RedisError) -> bool {
    error.detail().is_some_and(|text| text.contains(MOVING))
}

fn redirect(error: &RedisError, answered_by: &Address, asking: bool) -> RetryDecision {
    let Some((to, _)) = error.redirect_node() else {
        return RetryDecision::GiveUp;
    };
    let Some((host, port)) = to.rsplit_once(':') else {
        return RetryDecision::GiveUp;
    };
    let Ok(port) = port.parse() else {
        return RetryDecision::GiveUp;
    };
    let host = if host.is_empty() {
        &answered_by.host
    } else {
        host
    };
    RetryDecision::Follow {
        address: Address::new(host, port),
        asking,
    }
}

/// Whether the same may go well in a moment.
pub(in crate::store::redis) fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::TimedOut | StoreError::Overloaded => true,
        StoreError::Unavailable(cause) => cause
            .downcast_ref::<Failure>()
            .is_some_and(Failure::may_pass),
        StoreError::WritesStopped
        | StoreError::Full
        | StoreError::Corrupt { .. }
        | StoreError::NewerFormat { .. } => false,
    }
}

impl Failure {
    fn may_pass(&self) -> bool {
        match self {
            Self::Refused { address, cause } => {
                RetryDecision::to(cause, address) != RetryDecision::GiveUp
            }
            Self::NotReplicated { .. } => false,
            Self::NoMaster(_)
            | Self::Down { .. }
            | Self::Overloaded(_)
            | Self::TimedOut(_)
            | Self::Lost { .. }
            | Self::Replaced(_) => true,
        }
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.refusal().and_then(RedisError::code)
    }

    /// Whether this master has not seen the script: the script itself is done, so that this can be met but once.
    pub(super) fn is_of_an_unknown_script(&self) -> bool {
        self.code() == Some("NOSCRIPT")
    }

    /// Whether the slot is, or was, on its way to another master.
    pub(super) fn is_of_a_moving_slot(&self) -> bool {
        self.refusal().is_some_and(|error| {
            matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN")) || names_a_moving_slot(error)
        })
    }

    fn refusal(&self) -> Option<&RedisError> {
        match self {
            Self::Refused { cause, .. } => Some(cause),
            Self::NoMaster(_)
            | Self::Down { .. }
            | Self::Overloaded(_)
            | Self::TimedOut(_)
            | Self::Lost { .. }
            | Self::NotReplicated { .. }
            | Self::Replaced(_) => None,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overloaded(_) => Self::Overloaded,
            Failure::TimedOut(_) => Self::TimedOut,
            Failure::Refused { .. } if failure.code() == Some("WRONGTYPE") => Self::Corrupt {
                record: "key",
                cause: Box::new(failure),
            },
            Failure::NoMaster(_)
            | Failure::Down { .. }
            | Failure::Lost { .. }
            | Failure::Refused { .. }
            | Failure::NotReplicated { .. }
            | Failure::Replaced(_) => Self::Unavailable(Box::new(failure)),
        }
    }
}

impl ConnectError {
    /// Whether waiting does not help: the configuration is wrong, here or there.
    pub(super) fn lasts(&self) -> bool {
        match self {
            Self::TooOld(_) => true,
            Self::Connect(error) | Self::Report(ProbeError::Failed(error)) => denied(error),
            Self::Connecting
            | Self::NotMaster
            | Self::Pool(_)
            | Self::Report(ProbeError::Silent(_)) => false,
        }
    }
}

impl From<PoolError> for ConnectError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(cause) | PoolError::PostCreateHook(HookError::Backend(cause)) => {
                Self::Connect(cause)
            }
            PoolError::PostCreateHook(HookError::Message(_)) => Self::NotMaster,
            PoolError::Timeout(_) | PoolError::Closed | PoolError::NoRuntimeSpecified => {
                Self::Pool(error)
            }
        }
    }
}

fn denied(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_decision(line: &str) -> RetryDecision {
        let error = redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .unwrap()
            .extract_error()
            .unwrap_err();
        RetryDecision::to(&error, &Address::new("here", 1))
    }

    #[test]
    fn redirections_are_followed_also_to_another_port_of_the_same_host() {
        assert_eq!(
            retry_decision("MOVED 7 there:6380"),
            RetryDecision::Follow {
                address: Address::new("there", 6380),
                asking: false
            }
        );
        assert_eq!(
            retry_decision("ASK 7 :6381"),
            RetryDecision::Follow {
                address: Address::new("here", 6381),
                asking: true
            }
        );
        assert_eq!(retry_decision("MOVED 7 nonsense"), RetryDecision::GiveUp);
    }

    #[test]
    fn only_what_certainly_did_nothing_and_passes_is_repeated() {
        assert_eq!(
            retry_decision("NOSCRIPT No matching script."),
            RetryDecision::SendSource
        );
        for line in [
            "TRYAGAIN Multiple keys",
            "CLUSTERDOWN Hash slot not served",
            "ERR Script attempted to access a non local key in a cluster node script: ab, on @user_script:9.",
        ] {
            assert_eq!(retry_decision(line), RetryDecision::Pause, "{line}");
        }
        for line in [
            "READONLY no",
            "LOADING wait",
            "MASTERDOWN gone",
            "NOAUTH who",
        ] {
            assert_eq!(retry_decision(line), RetryDecision::Reconnect, "{line}");
        }
        for line in [
            "OOM",
            "MISCONF x",
            "NOREPLICAS x",
            "BUSY x",
            "NOPERM x",
            "ERR x",
        ] {
            assert_eq!(retry_decision(line), RetryDecision::GiveUp, "{line}");
        }
    }
}
