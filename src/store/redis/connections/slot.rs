//! Which of the 16,384 slots of a cluster a key is in.

/// Slots of a cluster; anything else has a single master for all of them.
pub(super) const SLOTS: u16 = 16_384;

/// The place of a key: its hash tag. All keys of one login share one; node-wide keys have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store::redis) enum Slot {
    /// The tag of a shard of logins: two hexadecimal digits.
    Shard(u8),
    /// The tag of a node-wide key.
    Of(&'static str),
    /// No tag: the key's own hash spreads it.
    Hash([u8; 32]),
}

impl Slot {
    /// The slot of all keys with this tag. Keys without one are only known by name ([`of_key`]); for them this is a slot
    /// that stays the same.
    pub(in crate::store::redis) fn number(self) -> u16 {
        match self {
            Self::Shard(shard) => hash(&[hex(shard >> 4), hex(shard & 15)]),
            Self::Of(tag) => hash(tag.as_bytes()),
            Self::Hash(bytes) => hash(&bytes),
        }
    }
}

fn hex(digit: u8) -> u8 {
    digit + if digit < 10 { b'0' } else { b'a' - 10 }
}

/// The slot of a key: by what stands between its first pair of braces, if that is anything, or else by all of it.
pub(super) fn of_key(key: &[u8]) -> u16 {
    let mut parts = key.splitn(2, |byte| *byte == b'{');
    let after = parts.nth(1).unwrap_or_default();
    match after.iter().position(|byte| *byte == b'}') {
        Some(end) if end > 0 => hash(after.get(..end).unwrap_or(key)),
        Some(_) | None => hash(key),
    }
}

fn hash(bytes: &[u8]) -> u16 {
    crc16(bytes) % SLOTS
}

/// CRC-16/XMODEM, which the cluster specification of Redis hashes keys by.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_hash_as_in_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(of_key(b"foo"), 12_182);
        assert_eq!(of_key(b"{user1000}.following"), of_key(b"user1000"));
        assert_eq!(of_key(b"foo{}{bar}"), hash(b"foo{}{bar}"));
        assert_eq!(of_key(b"foo{{bar}}zap"), hash(b"{bar"));
        assert_eq!(of_key(b"foo{bar"), hash(b"foo{bar"));
    }

    #[test]
    fn a_tag_names_the_slot_of_its_keys() {
        assert_eq!(Slot::Shard(0x7f).number(), of_key(b"sgw:{7f}:i"));
        assert_eq!(Slot::Of("services").number(), of_key(b"sgw:{services}:r"));
    }

    #[test]
    fn the_shards_are_in_slots_of_their_own() {
        let slots: HashSet<_> = (0..=255).map(|shard| Slot::Shard(shard).number()).collect();
        assert_eq!(slots.len(), 256);
    }
}
