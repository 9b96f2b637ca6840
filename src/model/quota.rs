//! Quotas: how much of what all services share one of them may take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::record::Field;
use super::words::growing_words;

/// What a service may take only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quota {
    /// Requests that a node works on at one time.
    RequestsInFlight,
    /// Sessions that are opened at a node within one second.
    OpensPerSecond,
    /// Sessions that live, whatever node they were opened at.
    LiveSessions,
    /// Bytes that a node has kept within a day to answer repeated requests with.
    IdempotencyBytes,
    /// Streams of events that a node sends.
    Followers,
}

impl Quota {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::RequestsInFlight,
        Self::OpensPerSecond,
        Self::LiveSessions,
        Self::IdempotencyBytes,
        Self::Followers,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestsInFlight => "requests_in_flight",
            Self::OpensPerSecond => "opens_per_second",
            Self::LiveSessions => "live_sessions",
            Self::IdempotencyBytes => "idempotency_bytes",
            Self::Followers => "followers",
        }
    }
}

growing_words!(Quota, "What a service may take only so much of.");

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The limits of a service that are its own, by the names of quotas; 0 is no limit. Names that a later version wrote stay, and
/// mean nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(value_type = std::collections::BTreeMap<String, u64>, example = json!({"opens_per_second": 100}))]
pub struct Quotas(BTreeMap<String, u64>);

impl Quotas {
    /// Whether the service has no limit of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its own limit, if it has one.
    #[must_use]
    pub fn get(&self, quota: Quota) -> Option<u64> {
        self.0.get(quota.as_str()).copied()
    }
}

/// A change of the limits of a service; what is not named stays, and one that is cleared is the default again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaChange(pub Vec<(Quota, Field<u64>)>);

impl QuotaChange {
    /// The limits with this change.
    pub fn apply(self, quotas: &mut Quotas) {
        for (quota, limit) in self.0 {
            match limit {
                Field::Keep => {}
                Field::Clear => drop(quotas.0.remove(quota.as_str())),
                Field::Set(limit) => drop(quotas.0.insert(quota.as_str().to_owned(), limit)),
            }
        }
    }
}

/// How much of a quota is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuotaUse {
    /// The name of the quota.
    pub quota: Quota,
    /// How much is taken now.
    pub used: u64,
    /// The most that may be; 0 is no limit.
    pub limit: u64,
}

impl QuotaUse {
    /// Whether four fifths of it are used.
    #[must_use]
    pub fn is_near(&self) -> bool {
        self.limit > 0 && u128::from(self.used) * 5 >= u128::from(self.limit) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(changes: &[(Quota, Field<u64>)]) -> QuotaChange {
        QuotaChange(changes.to_vec())
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name_and_what_it_does_not_know() {
        let text = r#"{"followers":2,"of_a_later_version":7}"#;
        let mut quotas: Quotas = serde_json::from_str(text).unwrap();
        let set = (Quota::OpensPerSecond, Field::Set(0));
        change(&[set, (Quota::Followers, Field::Keep)]).apply(&mut quotas);
        assert_eq!(quotas.get(Quota::OpensPerSecond), Some(0));
        assert_eq!(quotas.get(Quota::Followers), Some(2));
        change(&[(Quota::OpensPerSecond, Field::Clear)]).apply(&mut quotas);
        assert_eq!(serde_json::to_string(&quotas).unwrap(), text);
    }

    #[test]
    fn four_fifths_of_a_limit_are_near_it_and_no_limit_is_near() {
        let is_near = |used, limit| {
            let quota = Quota::Followers;
            QuotaUse { quota, used, limit }.is_near()
        };
        assert!(!is_near(7, 10) && is_near(8, 10) && is_near(10, 10));
        assert!(!is_near(7, 0));
    }
}
