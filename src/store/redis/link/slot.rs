//! Which of the 16,384 slots of a cluster a key is in.

/// Slots of a cluster; anything else has a single master for all of them.
pub(super) const SLOTS: u16 = 16_384;

/// The place of a key. Every key carries the [`tag`](Self::tag) of its slot in braces, and a script touches one slot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store::redis) enum Slot {
    /// One of the 256 shards of logins.
    Shard(u8),
    /// A key of which there is one, by its name.
    Of(&'static str),
    /// A key that is named by a hash.
    Hash([u8; 32]),
}

impl Slot {
    /// What stands between the braces of the keys of this slot.
    pub(in crate::store::redis) fn tag(self) -> String {
        match self {
            Self::Shard(shard) => format!("{shard:02x}"),
            Self::Of(name) => name.to_owned(),
            Self::Hash(hash) => hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    pub(in crate::store::redis) fn number(self) -> u16 {
        crc16(self.tag().as_bytes()) % SLOTS
    }
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
        assert_eq!(Slot::Of("foo").number(), 12_182);
    }

    #[test]
    fn the_shards_are_in_slots_of_their_own() {
        let slots: HashSet<_> = (0..=255).map(|shard| Slot::Shard(shard).number()).collect();
        assert_eq!(slots.len(), 256);
    }
}
