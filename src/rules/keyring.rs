//! When a keyring gets another key.

use crate::model::Timestamp;
use crate::model::keyring::{KeyPurpose, Keyring, OfferedKey};

/// A ring whose present key new things can be made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provided {
    /// The one there is.
    Held(Keyring),
    /// One that is to stand in its place.
    Next(Keyring),
}

/// Puts an offered key on the ring if it has none to make new things with.
#[must_use]
pub fn provide(
    held: Option<Keyring>,
    offered: &OfferedKey,
    purpose: KeyPurpose,
    now: Timestamp,
) -> Provided {
    match held {
        Some(ring) if ring.is_in_use(now) => Provided::Held(ring),
        held => Provided::Next(Keyring::of(offered.clone(), held, purpose, now)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::keyring::{KeyId, KeySecret};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const NOW: Timestamp = Timestamp::from_millis(1_769_846_400_000);

    fn offer(held: Option<&Keyring>, number: u8, now: Timestamp) -> Keyring {
        let offered = OfferedKey {
            id: KeyId([number; 8]),
            secret: KeySecret([number; 32]),
        };
        match provide(held.cloned(), &offered, KeyPurpose::Cursors, now) {
            Provided::Held(ring) | Provided::Next(ring) => ring,
        }
    }

    #[test]
    fn a_key_is_made_at_first_need_and_serves_for_thirty_days() {
        let ring = offer(None, 1, NOW);
        assert_eq!(ring.present.id, KeyId([1; 8]));
        let last = NOW.plus(30 * DAY).minus(Duration::from_millis(1));
        assert_eq!(offer(Some(&ring), 2, last), ring);
        let ring = offer(Some(&ring), 2, NOW.plus(30 * DAY));
        assert_eq!(ring.present.id, KeyId([2; 8]));
    }

    #[test]
    fn a_former_key_is_found_until_the_last_thing_made_with_it_is_over() {
        let ring = offer(None, 1, NOW);
        let ring = offer(Some(&ring), 2, NOW.plus(30 * DAY));
        let before = NOW.plus(31 * DAY).minus(Duration::from_millis(1));
        assert!(ring.find(KeyId([1; 8]), before).is_some());
        assert!(ring.find(KeyId([1; 8]), NOW.plus(31 * DAY)).is_none());
        let third = offer(Some(&ring), 3, NOW.plus(60 * DAY));
        assert_eq!(third.former.len(), 1, "what counts for nothing goes");
    }
}
