//! Keys that all gateways on one store share, each for one purpose.
//!
//! They are made when they are first needed, and give way to newer ones; what was made with an older one is read until the
//! last of it is over.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::Timestamp;

/// How long new things are made with a key.
const IN_USE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Sealing the cursors of lists.
    Cursors,
}

impl KeyPurpose {
    /// Its name where keys are stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cursors => "cursors",
        }
    }

    /// How long what is made with a key is good.
    const fn lasts(self) -> Duration {
        match self {
            Self::Cursors => Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Tells keys apart; no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 8]);

/// The secret of a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
pub struct KeySecret(pub [u8; 32]);

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

/// A key that becomes one of the ring's if the ring needs one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedKey {
    /// Its id.
    pub id: KeyId,
    /// Its secret.
    pub secret: KeySecret,
}

/// A key of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedKey {
    /// Its id.
    pub id: KeyId,
    /// Its secret.
    pub secret: KeySecret,
    /// When it was made.
    pub from: Timestamp,
    /// The first moment at which nothing that was made with it counts any more.
    pub until: Timestamp,
}

/// The keys for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    /// The newest, which new things are made with.
    pub present: SharedKey,
    /// Those before it.
    pub former: Vec<SharedKey>,
}

impl Keyring {
    /// A ring of this key and those of the ring before of which something counts.
    #[must_use]
    pub fn of(
        offered: OfferedKey,
        before: Option<Self>,
        purpose: KeyPurpose,
        now: Timestamp,
    ) -> Self {
        let before = before.into_iter();
        let former = before.flat_map(|ring| ring.former.into_iter().chain([ring.present]));
        Self {
            present: SharedKey {
                id: offered.id,
                secret: offered.secret,
                from: now,
                until: now.plus(IN_USE).plus(purpose.lasts()),
            },
            former: former.filter(|key| now < key.until).collect(),
        }
    }

    /// Whether new things may still be made with it.
    #[must_use]
    pub fn is_in_use(&self, now: Timestamp) -> bool {
        now < self.present.from.plus(IN_USE)
    }

    /// The key of this id, while what was made with it counts.
    #[must_use]
    pub fn find(&self, id: KeyId, now: Timestamp) -> Option<&SharedKey> {
        let mut keys = self.former.iter().chain([&self.present]);
        keys.find(|key| key.id == id && now < key.until)
    }
}
