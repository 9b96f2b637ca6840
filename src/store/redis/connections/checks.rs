//! What a server tells of itself, and what in it an operator should know.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The oldest major version that has what the scripts need.
pub(super) const OLDEST_MAJOR: u32 = 7;

/// The answer to `INFO`, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) version: Version,
    pub(super) role: Role,
    pub(super) replication_id: Arc<str>,
    eviction_policy: String,
    append_only: bool,
    /// A master tells how many good replicas it has only when it needs some.
    replicas_needed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    Replica,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
}

/// Something in the configuration of a server that can lose sessions, or endings of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::store::redis) enum Warning {
    /// Keys are dropped when memory is short.
    #[error(
        "Redis drops keys when its memory is full (maxmemory-policy {policy}); sessions can vanish. Set noeviction"
    )]
    Eviction { policy: String },
    /// A restart goes back to the last snapshot.
    #[error(
        "Redis keeps no append-only file; after a crash, ended sessions can be back. Set appendonly yes"
    )]
    NoAppendOnlyFile,
    /// A master that is cut off goes on accepting writes which are then lost.
    #[error(
        "Redis takes writes without replicas (min-replicas-to-write 0); what a master acknowledges while it is cut off is lost"
    )]
    NoReplicasNeeded,
}

impl Report {
    /// Reads the answer to `INFO`, or what is there of it.
    pub(super) fn read(info: &str) -> Self {
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.trim_end().split_once(':'))
                .find_map(|(key, value)| (key == name).then_some(value))
        };
        Self {
            version: Version::read(field("redis_version").unwrap_or_default()),
            role: if field("role") == Some("master") {
                Role::Master
            } else {
                Role::Replica
            },
            replication_id: field("master_replid").unwrap_or_default().into(),
            eviction_policy: field("maxmemory_policy").unwrap_or_default().to_owned(),
            append_only: field("aof_enabled") == Some("1"),
            replicas_needed: field("min_slaves_good_slaves").is_some(),
        }
    }

    pub(super) fn is_too_old(&self) -> bool {
        self.version.major < OLDEST_MAJOR
    }

    /// What to warn of; `fails_over` tells that another server may take this one's place.
    pub(super) fn warnings(&self, fails_over: bool) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.eviction_policy != "noeviction" {
            warnings.push(Warning::Eviction {
                policy: self.eviction_policy.clone(),
            });
        }
        if !self.append_only {
            warnings.push(Warning::NoAppendOnlyFile);
        }
        if fails_over && !self.replicas_needed {
            warnings.push(Warning::NoReplicasNeeded);
        }
        warnings
    }
}

impl Version {
    fn read(text: &str) -> Self {
        let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
        Self {
            major: numbers.next().unwrap_or(0),
            minor: numbers.next().unwrap_or(0),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n\
        # Persistence\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\nmin_slaves_good_slaves:1\r\n\
        master_replid:abc\r\n";

    #[test]
    fn a_sound_master_raises_no_warning() {
        let report = Report::read(GOOD);
        assert_eq!(report.role, Role::Master);
        assert_eq!(&*report.replication_id, "abc");
        assert!(!report.is_too_old());
        assert_eq!(report.warnings(true), []);
    }

    #[test]
    fn what_loses_sessions_is_warned_of() {
        let report = Report::read(
            "redis_version:7.2.0\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n",
        );
        assert_eq!(
            report.warnings(true),
            [
                Warning::Eviction {
                    policy: "allkeys-lru".to_owned()
                },
                Warning::NoAppendOnlyFile,
                Warning::NoReplicasNeeded
            ]
        );
        assert_eq!(report.warnings(false).len(), 2);
    }

    #[test]
    fn six_is_too_old() {
        assert!(Report::read("redis_version:6.2.14\r\n").is_too_old());
        assert!(!Report::read("redis_version:10.0.0\r\n").is_too_old());
    }
}
