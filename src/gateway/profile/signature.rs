//! Signatures of requests to the loader, by which it knows that the gateway asks: those of
//! [Standard Webhooks](https://www.standardwebhooks.com), over the method and the target in the place of a body.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::Timestamp;
use crate::model::token::ServiceSecret;

/// What requests are signed with: the bytes of a secret.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<Vec<u8>>);

/// The headers that a signature consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// `webhook-id`: no two requests have the same.
    pub(super) id: String,
    /// `webhook-timestamp`: seconds since the epoch.
    pub(super) timestamp: String,
    /// `webhook-signature`: `v1,` and HMAC-SHA-256 in base64.
    pub(super) mac: String,
}

impl SigningKey {
    /// The key that is a secret.
    #[must_use]
    pub fn of(secret: &ServiceSecret) -> Self {
        Self(Zeroizing::new(secret.expose().as_bytes().to_vec()))
    }

    pub(super) fn sign(
        &self,
        random: &[u8; 16],
        now: Timestamp,
        target: &str,
    ) -> Result<Signature, InvalidLength> {
        let id = format!("get_{}", URL_SAFE_NO_PAD.encode(random));
        let timestamp = (now.millis() / 1_000).to_string();
        let text = format!("{id}.{timestamp}.GET {target}");
        let mac = Hmac::<Sha256>::new_from_slice(&self.0)?.chain_update(text);
        let mac = STANDARD.encode(mac.finalize().into_bytes());
        Ok(Signature {
            id,
            timestamp,
            mac: format!("v1,{mac}"),
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}
