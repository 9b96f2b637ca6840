//! How long operations took, by what they were and how they ended.

use std::sync::OnceLock;

use tokio::time::Instant;

use super::outcome::Outcome;
use crate::store::OperationStats;
use crate::telemetry::counters::{Histogram, LATENCIES};

/// Makes the enum and its names from one table, so that neither can miss a row.
macro_rules! operations {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What a store is asked to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Operation { $($variant),+ }

        impl Operation {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

operations! {
    Check = "check",
    Create = "create",
    Find = "find",
    FindByToken = "find_by_token",
    Change = "change",
    Refresh = "refresh",
    Heartbeat = "heartbeat",
    End = "end",
    Revoke = "revoke",
    SessionOf = "session_of",
    Rotate = "rotate",
    EndAll = "end_all",
    EndWhere = "end_where",
    Ban = "ban",
    FindBan = "find_ban",
    Unban = "unban",
    List = "list",
    Count = "count",
    Login = "login",
    Sweep = "sweep",
    SessionCounts = "census",
    Owned = "owned",
    Register = "register",
    FindService = "find_service",
    ListServices = "list_services",
    UpdateService = "update_service",
    RotateSecret = "rotate_secret",
    RemoveService = "remove_service",
    Events = "events",
    Claim = "claim",
    KeepAnswer = "keep_answer",
    Release = "release",
    Keyring = "keyring",
    PutProfile = "put_profile",
    FindProfile = "find_profile",
    RemoveProfile = "remove_profile",
    BeginLoad = "begin_load",
    EndLoad = "end_load",
    Throttle = "throttle",
    FindThrottle = "find_throttle",
}

/// How long each took; what never happened takes no room.
#[derive(Debug)]
pub(super) struct Operations(Vec<[OnceLock<Box<Histogram>>; Outcome::ALL.len()]>);

impl Default for Operations {
    fn default() -> Self {
        let all = Operation::ALL.iter();
        Self(all.map(|_| Default::default()).collect())
    }
}

impl Operations {
    pub(super) fn begin(&self, operation: Operation) -> Timed<'_> {
        Timed {
            operations: self,
            operation,
            since: Instant::now(),
            outcome: Outcome::Abandoned,
        }
    }

    fn durations(
        &self,
        operation: Operation,
        outcome: Outcome,
    ) -> Option<&OnceLock<Box<Histogram>>> {
        self.0.get(operation as usize)?.get(outcome as usize)
    }

    pub(super) fn stats(&self) -> Vec<OperationStats> {
        let mut stats = Vec::new();
        for operation in Operation::ALL {
            for outcome in Outcome::ALL {
                let durations = self.durations(*operation, outcome);
                stats.extend(
                    durations
                        .and_then(OnceLock::get)
                        .map(|durations| OperationStats {
                            operation: operation.as_str(),
                            outcome: outcome.as_str(),
                            durations: durations.seen(),
                        }),
                );
            }
        }
        stats
    }
}

#[derive(Debug)]
pub(super) struct Timed<'o> {
    operations: &'o Operations,
    operation: Operation,
    since: Instant,
    outcome: Outcome,
}

impl Timed<'_> {
    /// It ended like this, and its time is over.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        if let Some(durations) = self.operations.durations(self.operation, self.outcome) {
            let durations = durations.get_or_init(|| Box::new(Histogram::new(&LATENCIES)));
            durations.take_time(took);
        }
    }
}
