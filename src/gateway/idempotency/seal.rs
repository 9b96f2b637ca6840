//! Encrypts what is kept in an idempotency record under a key that is made of the caller's secret and the `Idempotency-Key`, bound to
//! the record.

use thiserror::Error;
use zeroize::Zeroizing;

use super::Kept;
use super::key::IdempotencyKey;
use crate::entropy::{ClaimedEntropy, random_bytes};
use crate::gateway::GatewayError;
use crate::model::Timestamp;
use crate::model::request::OperationId;
use crate::model::token::RANDOM_BYTES;
use crate::seal::{NONCE_BYTES, SealKey};
use crate::store::IdempotencyRecordKey;

/// The secret that the caller presented, to make keys of; the stored hash of the secret does not lead to them.
#[derive(Clone)]
pub struct CallerKey(Zeroizing<Vec<u8>>);

impl CallerKey {
    /// Keeps the secret; nothing is derived until a key is needed.
    #[must_use]
    pub fn new(secret: Zeroizing<Vec<u8>>) -> Self {
        Self(secret)
    }
}

impl std::fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallerKey(…)")
    }
}

/// Told apart in the authenticated data, so that one can never be put in the place of the other.
#[derive(Clone, Copy)]
enum Purpose {
    ClaimedEntropy = 1,
    Answer = 2,
    Remains = 3,
}

/// Nothing is wrong with the request: the bytes are not what was written.
#[derive(Debug, Error)]
#[error("what was kept in an idempotency record cannot be read")]
struct Unreadable;

/// Seals and opens what is kept in one record.
pub(super) struct Seal {
    key: SealKey,
    record: IdempotencyRecordKey,
}

impl Seal {
    pub(super) fn new(
        caller: &CallerKey,
        key: &IdempotencyKey,
        record: IdempotencyRecordKey,
    ) -> Result<Self, GatewayError> {
        let purpose = b"session-gateway idempotency 1";
        let key = SealKey::derive(&caller.0, Some(key.as_bytes()), purpose)?;
        Ok(Self { key, record })
    }

    pub(super) fn seed(&self, seed: &ClaimedEntropy) -> Result<Vec<u8>, GatewayError> {
        let stored: StoredEntropy = (*seed.bytes, seed.at, seed.operation_id.0);
        let encoded = postcard::to_stdvec(&stored).map_err(GatewayError::internal)?;
        self.seal(Purpose::ClaimedEntropy, &Zeroizing::new(encoded))
    }

    pub(super) fn open_seed(&self, sealed: &[u8]) -> Result<ClaimedEntropy, GatewayError> {
        let plain = self.open(Purpose::ClaimedEntropy, sealed)?;
        let (bytes, at, operation_id): StoredEntropy =
            postcard::from_bytes(&plain).map_err(GatewayError::internal)?;
        Ok(ClaimedEntropy {
            bytes: Zeroizing::new(bytes),
            at,
            operation_id: OperationId(operation_id),
        })
    }

    pub(super) fn kept(&self, kept: &Kept) -> Result<Vec<u8>, GatewayError> {
        match kept {
            Kept::Answer(answer) => self.seal(Purpose::Answer, answer),
            Kept::Remains(remains) => self.seal(Purpose::Remains, remains),
        }
    }

    pub(super) fn open_kept(&self, sealed: &[u8]) -> Result<Kept, GatewayError> {
        match self.open(Purpose::Remains, sealed) {
            Ok(remains) => Ok(Kept::Remains(remains)),
            Err(_no_remains) => Ok(Kept::Answer(self.open(Purpose::Answer, sealed)?)),
        }
    }

    fn bound(&self, purpose: Purpose) -> [u8; 33] {
        let mut bound = [purpose as u8; 33];
        if let Some((_, record)) = bound.split_first_mut() {
            record.copy_from_slice(&self.record.0);
        }
        bound
    }

    fn seal(&self, purpose: Purpose, plain: &[u8]) -> Result<Vec<u8>, GatewayError> {
        let nonce = *random_bytes::<NONCE_BYTES>()?;
        let sealed = self.key.seal(nonce, plain, &self.bound(purpose))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// What another secret of the service sealed stays closed.
    fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, GatewayError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(|| GatewayError::internal(Unreadable))?;
        let plain = self.key.open(*nonce, sealed, &self.bound(purpose));
        plain.map_err(|_other_secret| GatewayError::IdempotencyKeyUnreadable)
    }
}

type StoredEntropy = ([u8; RANDOM_BYTES], Timestamp, [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SessionIds;

    const NOW: Timestamp = Timestamp::from_millis(1_769_846_400_000);

    fn seal(secret: &str, key: &'static str, record: u8) -> Seal {
        let key = IdempotencyKey::parse(key.as_bytes()).unwrap();
        let caller = CallerKey::new(Zeroizing::new(secret.as_bytes().to_vec()));
        Seal::new(&caller, &key, IdempotencyRecordKey([record; 32])).unwrap()
    }

    fn seed() -> ClaimedEntropy {
        SessionIds::default().seed(NOW).unwrap()
    }

    #[test]
    fn a_sealed_seed_opens_to_the_same_one_again_and_again() {
        let sealed = seal("secret", "k", 1).seed(&seed()).unwrap();
        let [first, second] = [0, 1].map(|_| seal("secret", "k", 1).open_seed(&sealed).unwrap());
        assert_eq!(
            (first.bytes, first.operation_id),
            (second.bytes, second.operation_id)
        );
        assert_eq!(first.at, NOW);
    }

    #[test]
    fn only_the_same_secret_key_and_record_open_it() {
        let sealed = seal("secret", "k", 1).seed(&seed()).unwrap();
        for other in [
            seal("other", "k", 1),
            seal("secret", "l", 1),
            seal("secret", "k", 2),
        ] {
            let refused = other.open_seed(&sealed).unwrap_err();
            assert!(matches!(refused, GatewayError::IdempotencyKeyUnreadable));
        }
    }

    #[test]
    fn a_seed_cannot_stand_for_what_is_kept() {
        let sealed = seal("secret", "k", 1).seed(&seed()).unwrap();
        assert!(seal("secret", "k", 1).open_kept(&sealed).is_err());
    }

    #[test]
    fn a_whole_answer_and_what_remains_of_one_are_told_apart() {
        let seal = seal("secret", "k", 1);
        let bytes = || Zeroizing::new(b"hush".to_vec());
        let sealed = seal.kept(&Kept::Answer(bytes())).unwrap();
        assert!(
            matches!(seal.open_kept(&sealed).unwrap(), Kept::Answer(plain) if plain == bytes())
        );
        let sealed = seal.kept(&Kept::Remains(bytes())).unwrap();
        assert!(
            matches!(seal.open_kept(&sealed).unwrap(), Kept::Remains(plain) if plain == bytes())
        );
    }

    #[test]
    fn the_callers_key_does_not_print() {
        let key = CallerKey::new(Zeroizing::new(b"secret".to_vec()));
        assert_eq!(format!("{key:?}"), "CallerKey(…)");
    }
}
