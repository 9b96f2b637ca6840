//! The randomness of one request.
//!
//! Everything random comes from the operating system's generator; a request that may be a repetition draws
//! from the seed of its first attempt, so that it makes the same ids and credentials again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::Timestamp;
use crate::model::id::{LoginId, SessionId};
use crate::model::request::OperationId;
use crate::model::token::RANDOM_BYTES;

/// There is no randomness to be had.
#[derive(Debug, Clone, Copy, Error)]
pub enum EntropyError {
    /// The operating system gives none.
    #[error("the operating system gives no random bytes")]
    System(#[from] getrandom::Error),
    /// More is wanted of a seed than can be made of it.
    #[error("a seed is too short")]
    SeedTooShort(#[from] hkdf::InvalidLength),
}

/// Random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, EntropyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

/// Random bits of a session id, of which the last 8 give way to its shard.
type IdBits = [u8; 10];

/// What the first attempt of a request drew, kept in its idempotency record.
#[derive(Clone)]
pub struct ClaimedEntropy {
    /// 256 random bits from the operating system.
    pub bytes: Zeroizing<[u8; RANDOM_BYTES]>,
    /// When they were drawn.
    pub at: Timestamp,
    /// Names the effect of the request.
    pub operation_id: OperationId,
}

impl std::fmt::Debug for ClaimedEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimedEntropy")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl ClaimedEntropy {
    fn draw(at: Timestamp) -> Result<Self, EntropyError> {
        Ok(Self {
            bytes: random_bytes()?,
            at,
            operation_id: OperationId(*random_bytes()?),
        })
    }

    /// As many bytes as are wanted for one purpose, through HKDF-SHA-256 (RFC 5869).
    fn expand<const N: usize>(
        &self,
        purpose: &'static str,
    ) -> Result<Zeroizing<[u8; N]>, EntropyError> {
        let mut bytes = Zeroizing::new([0; N]);
        Hkdf::<Sha256>::new(None, self.bytes.as_slice())
            .expand(purpose.as_bytes(), bytes.as_mut_slice())?;
        Ok(bytes)
    }

    fn id_bits(&self) -> Result<IdBits, EntropyError> {
        Ok(*self.expand("session id")?)
    }
}

/// Makes the ids of the sessions that one node opens, each greater than all before it.
///
/// That holds within a millisecond too, and whoever asks at the same time: 12 bits behind the millisecond are a counter
/// (RFC 9562, 6.2).
#[derive(Debug, Default)]
pub struct SessionIds {
    last: Mutex<Option<Turn>>,
}

/// When it is the turn of an id among those of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: Timestamp,
    counter: u16,
}

impl Turn {
    const LAST_OF_MILLISECOND: u16 = 0xfff;

    fn of(at: Timestamp, bits: &IdBits) -> Self {
        let [high, low, ..] = *bits;
        let counter = u16::from_be_bytes([high, low]) & Self::LAST_OF_MILLISECOND;
        Self { at, counter }
    }

    /// The one after it. When its millisecond has no more, the next one begins early, with this counter.
    fn next(self, counter: u16) -> Self {
        if self.counter < Self::LAST_OF_MILLISECOND {
            let counter = self.counter + 1;
            return Self { counter, ..self };
        }
        let at = self.next_millisecond();
        Self { at, counter }
    }

    fn next_millisecond(self) -> Timestamp {
        self.at.plus(Duration::from_millis(1))
    }
}

impl SessionIds {
    /// Seeds of which one is taken whose id comes next in a millisecond that has begun: some 5,000 keys a second find one.
    const SEEDS: usize = 8;

    fn next(&self, now: Timestamp, login_id: &LoginId) -> Result<SessionId, EntropyError> {
        let mut bits: IdBits = *random_bytes()?;
        let [high, low, ..] = &mut bits;
        // A millisecond begins in the lower half of the counter, so that many can follow.
        *high &= 0x07;
        let counter = u16::from_be_bytes([*high, *low]);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = match *last {
            Some(before) if now <= before.at => before.next(counter),
            Some(_) | None => Turn { at: now, counter },
        };
        *last = Some(turn);
        drop(last);
        [*high, *low] = turn.counter.to_be_bytes();
        Ok(SessionId::new(turn.at, login_id, bits))
    }

    /// Draws what a request with an idempotency key makes all of. Its session id follows from the seed alone, so that any
    /// node makes the same one of it again: a seed is looked for whose id has the next turn.
    pub fn seed(&self, now: Timestamp) -> Result<ClaimedEntropy, EntropyError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = |at| {
            let seed = ClaimedEntropy::draw(at)?;
            Ok::<_, EntropyError>((Turn::of(at, &seed.id_bits()?), seed))
        };
        let (turn, seed) = match *last {
            Some(before) if now <= before.at => {
                let mut next: Option<(Turn, ClaimedEntropy)> = None;
                for _ in 0..Self::SEEDS {
                    let other = seed(before.at)?;
                    let earlier = next.as_ref().is_none_or(|(turn, _)| other.0 < *turn);
                    if other.0 > before && earlier {
                        next = Some(other);
                    }
                }
                next.map_or_else(|| seed(before.next_millisecond()), Ok)?
            }
            Some(_) | None => seed(now)?,
        };
        *last = Some(turn);
        Ok(seed)
    }
}

/// Where a request draws from.
#[derive(Debug, Clone, Default)]
pub enum Entropy {
    /// The operating system, afresh.
    #[default]
    Fresh,
    /// The seed of its first attempt, through HKDF-SHA-256 (RFC 5869).
    Claimed(ClaimedEntropy),
}

impl Entropy {
    fn bytes<const N: usize>(
        &self,
        purpose: &'static str,
    ) -> Result<Zeroizing<[u8; N]>, EntropyError> {
        match self {
            Self::Fresh => random_bytes(),
            Self::Claimed(seed) => seed.expand(purpose),
        }
    }

    /// The id of the session this request opens.
    pub fn session_id(
        &self,
        ids: &SessionIds,
        now: Timestamp,
        login_id: &LoginId,
    ) -> Result<SessionId, EntropyError> {
        match self {
            Self::Fresh => ids.next(now, login_id),
            Self::Claimed(seed) => Ok(SessionId::new(seed.at, login_id, seed.id_bits()?)),
        }
    }

    /// The random part of the token this request hands out.
    pub fn token(&self) -> Result<Zeroizing<[u8; RANDOM_BYTES]>, EntropyError> {
        self.bytes("session token")
    }

    /// The random part of the service secret this request hands out.
    pub fn secret(&self) -> Result<Zeroizing<[u8; RANDOM_BYTES]>, EntropyError> {
        self.bytes("service secret")
    }

    /// The name of the request's effect, if it may be a repetition.
    #[must_use]
    pub fn operation_id(&self) -> Option<OperationId> {
        match self {
            Self::Fresh => None,
            Self::Claimed(seed) => Some(seed.operation_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_846_400_000);

    fn login(text: &str) -> LoginId {
        LoginId::parse(text).unwrap()
    }

    #[test]
    fn ids_of_one_millisecond_are_in_the_order_drawn_with_and_without_a_key() {
        for round in 0..150 {
            let (ids, ana) = (SessionIds::default(), login("ana"));
            let mut drawn = Vec::new();
            for turn in 0..12 {
                let entropy = if (round + turn) % 3 == 0 {
                    Entropy::Claimed(ids.seed(NOW).unwrap())
                } else {
                    Entropy::Fresh
                };
                drawn.push(entropy.session_id(&ids, NOW, &ana).unwrap());
            }
            assert!(drawn.is_sorted_by(|one, next| one < next), "{drawn:?}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_and_a_counter_that_runs_out_break_no_order() {
        let (ids, ana) = (SessionIds::default(), login("ana"));
        let mut last = ids.next(NOW, &ana).unwrap();
        let back = NOW.minus(Duration::from_secs(3_600));
        for _ in 0..10_000 {
            let next = ids.next(back, &ana).unwrap();
            assert!(next > last);
            last = next;
        }
        let later = NOW.plus(Duration::from_millis(10));
        let next = ids.next(later, &ana).unwrap();
        assert!(next > last);
        assert_eq!(next.as_bytes()[..6], later.sort_key().to_be_bytes()[2..]);
    }

    #[test]
    fn who_draws_at_the_same_time_gets_ids_of_his_own_in_his_order() {
        let ids = SessionIds::default();
        let logins = ["ana", "bob", "eve", "joe"].map(login);
        let drawn = thread::scope(|scope| {
            let draw = |login_id| {
                let ids = &ids;
                scope.spawn(move || {
                    (0..2_000)
                        .map(|_| ids.next(NOW, login_id).unwrap())
                        .collect()
                })
            };
            let threads: Vec<_> = logins.iter().map(draw).collect();
            let drawn = threads.into_iter().map(|thread| thread.join().unwrap());
            drawn.collect::<Vec<Vec<SessionId>>>()
        });
        for ids in &drawn {
            assert!(ids.is_sorted_by(|one, next| one < next));
        }
        let turns = drawn.iter().flatten().map(|id| id.as_bytes()[..8].to_vec());
        assert_eq!(
            turns.collect::<BTreeSet<_>>().len(),
            8_000,
            "no turn is taken twice"
        );
    }

    #[test]
    fn a_seed_makes_the_same_id_at_every_node() {
        let seed = SessionIds::default().seed(NOW).unwrap();
        let at = |node: SessionIds| {
            let entropy = Entropy::Claimed(seed.clone());
            entropy.session_id(&node, NOW.plus(Duration::from_secs(60)), &login("ana"))
        };
        assert_eq!(
            at(SessionIds::default()).unwrap(),
            at(SessionIds::default()).unwrap()
        );
    }
}
