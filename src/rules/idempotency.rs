//! Idempotency records: one effect for a repeated request.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// How long whoever claims a key has for its request before a repetition may go ahead.
pub const LEASE: Duration = Duration::from_secs(10);
/// How long a claim is kept, and what an operation did.
pub(super) const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known of a key that somebody used. Stores may write it in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// The first moment at which the key is free again.
    pub until: Timestamp,
    /// What tells the request from others.
    pub fingerprint: [u8; 32],
    /// Encrypted randomness, as it was handed in first.
    pub sealed_entropy: Vec<u8>,
    /// The first moment at which a repetition may go ahead without an answer.
    pub lease_until: Timestamp,
    /// The encrypted answer, once there is one.
    pub sealed_answer: Option<Vec<u8>>,
}

impl IdempotencyRecord {
    /// The record with the answer of its request.
    #[must_use]
    pub fn answered(self, sealed_answer: Vec<u8>) -> Self {
        Self {
            sealed_answer: Some(sealed_answer),
            ..self
        }
    }
}

/// What becomes of an idempotency key that somebody uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The caller goes ahead, with this draw: its own, or the one of an earlier attempt whose lease ran out.
    Granted {
        /// Encrypted randomness, as it was handed in first.
        sealed_entropy: Vec<u8>,
    },
    /// Somebody else is at it.
    Busy,
    /// The key was used for another request.
    Reused,
    /// It is done, and this was the answer.
    Done {
        /// The encrypted answer, as it was handed in.
        sealed_answer: Vec<u8>,
    },
}

/// What becomes of a key, and what is then to stand in the place of the record that is held, if anything changes.
#[must_use]
pub fn claim(
    held: Option<IdempotencyRecord>,
    fingerprint: [u8; 32],
    sealed_entropy: &[u8],
    now: Timestamp,
) -> (Claim, Option<IdempotencyRecord>) {
    let lease_until = now.plus(LEASE);
    let record = match held.filter(|held| now < held.until) {
        Some(held) if held.fingerprint != fingerprint => return (Claim::Reused, None),
        Some(IdempotencyRecord {
            sealed_answer: Some(sealed_answer),
            ..
        }) => return (Claim::Done { sealed_answer }, None),
        Some(held) if now < held.lease_until => return (Claim::Busy, None),
        Some(held) => IdempotencyRecord {
            lease_until,
            ..held
        },
        None => IdempotencyRecord {
            until: now.plus(RETENTION),
            fingerprint,
            sealed_entropy: sealed_entropy.to_vec(),
            lease_until,
            sealed_answer: None,
        },
    };
    let sealed_entropy = record.sealed_entropy.clone();
    (Claim::Granted { sealed_entropy }, Some(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_769_846_400_000);
    const REQUEST: [u8; 32] = [1; 32];

    fn granted(draw: &[u8]) -> Claim {
        let sealed_entropy = draw.to_vec();
        Claim::Granted { sealed_entropy }
    }

    fn fresh() -> IdempotencyRecord {
        let (claim, record) = claim(None, REQUEST, b"first", START);
        assert_eq!(claim, granted(b"first"));
        record.unwrap()
    }

    #[test]
    fn who_comes_after_the_lease_goes_on_with_the_first_draw() {
        let last = START.plus(LEASE).minus(Duration::from_millis(1));
        let busy = claim(Some(fresh()), REQUEST, b"second", last);
        assert_eq!(busy, (Claim::Busy, None));
        let over = START.plus(LEASE);
        let (again, record) = claim(Some(fresh()), REQUEST, b"second", over);
        assert_eq!(again, granted(b"first"));
        let renewed = IdempotencyRecord {
            lease_until: over.plus(LEASE),
            ..fresh()
        };
        assert_eq!(record, Some(renewed));
    }

    #[test]
    fn another_request_is_told_so_before_it_learns_anything_of_the_answer() {
        let held = fresh().answered(b"answer".to_vec());
        let other = claim(Some(held.clone()), [2; 32], b"draw", START);
        assert_eq!(other, (Claim::Reused, None));
        let sealed_answer = b"answer".to_vec();
        let done = claim(Some(held), REQUEST, b"draw", START);
        assert_eq!(done, (Claim::Done { sealed_answer }, None));
    }

    #[test]
    fn a_record_whose_time_is_over_is_none() {
        let over = START.plus(RETENTION);
        let (again, record) = claim(Some(fresh()), [2; 32], b"second", over);
        assert_eq!(again, granted(b"second"));
        assert_eq!(record.unwrap().until, over.plus(RETENTION));
    }
}
