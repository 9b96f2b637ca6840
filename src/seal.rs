//! Encrypts what the stores keep for somebody who holds a secret that is not stored: AES-256-GCM-SIV (RFC 8452) under a
//! key that HKDF (RFC 5869) makes of that secret. Whoever holds the store alone can read none of it.

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::id::SessionId;
use crate::model::session_token::SealedToken;
use crate::model::token::RANDOM_BYTES;

pub(crate) const NONCE_BYTES: usize = 12;

/// Why something is not sealed, or stays so.
#[derive(Debug, Clone, Copy, Error)]
pub(crate) enum SealError {
    #[error("no key can be made of this secret")]
    Key(#[from] hkdf::InvalidLength),
    #[error("what is to be sealed is too long")]
    TooLong(#[source] aes_gcm_siv::aead::Error),
    /// These bytes were not sealed with this key for this purpose.
    #[error("what was sealed cannot be opened")]
    Closed,
}

/// A key that was made of a secret.
pub(crate) struct SealKey(Aes256GcmSiv);

impl SealKey {
    pub(crate) fn derive(
        secret: &[u8],
        salt: Option<&[u8]>,
        purpose: &[u8],
    ) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(salt, secret).expand(purpose, key.as_mut_slice())?;
        Ok(Self(Aes256GcmSiv::new(&(*key).into())))
    }

    /// Seals bytes, bound to others that stay open.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        msg: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let sealed = self.0.encrypt(&Nonce::from(nonce), Payload { msg, aad });
        sealed.map_err(SealError::TooLong)
    }

    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        msg: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let opened = self.0.decrypt(&Nonce::from(nonce), Payload { msg, aad });
        opened
            .map(Zeroizing::new)
            .map_err(|_other_key| SealError::Closed)
    }
}

/// A token as the key to its successor.
pub(crate) struct TokenKey {
    key: SealKey,
    session_id: SessionId,
}

impl TokenKey {
    /// One token has one successor, so its key seals one text and needs no nonce.
    const NONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

    pub(crate) fn of(token: &str, session_id: SessionId) -> Result<Self, SealError> {
        let purpose = b"session-gateway rotation 1";
        Ok(Self {
            key: SealKey::derive(token.as_bytes(), None, purpose)?,
            session_id,
        })
    }

    pub(crate) fn seal(&self, random: &[u8; RANDOM_BYTES]) -> Result<SealedToken, SealError> {
        let bound = self.session_id.as_bytes();
        self.key.seal(Self::NONCE, random, bound).map(SealedToken)
    }

    pub(crate) fn open(
        &self,
        sealed: &SealedToken,
    ) -> Result<Zeroizing<[u8; RANDOM_BYTES]>, SealError> {
        let bound = self.session_id.as_bytes();
        let opened = self.key.open(Self::NONCE, &sealed.0, bound)?;
        let random = opened.as_slice().try_into().map(Zeroizing::new);
        random.map_err(|_length| SealError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(token: &str, id: u8) -> TokenKey {
        TokenKey::of(token, SessionId::from_bytes([id; 16])).unwrap()
    }

    #[test]
    fn a_token_leads_to_its_successor_and_no_other_token_does() {
        let sealed = key("token", 1).seal(&[7; RANDOM_BYTES]).unwrap();
        assert_eq!(sealed.0.len(), 48);
        assert_eq!(*key("token", 1).open(&sealed).unwrap(), [7; RANDOM_BYTES]);
        for other in [key("tokem", 1), key("token", 2)] {
            assert!(other.open(&sealed).is_err());
        }
    }
}
