//! Rotations of tokens, as this node made them or heard of them. Events tell no hashes of tokens, so a rotation that was
//! not heard of when it was made cannot be read later.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::super::keys::slot_of;
use super::super::link::{Effect, Slot};
use super::super::reply::Args;
use super::super::scripts;
use super::{Inner, KEPT, STEP};
use crate::model::Timestamp;
use crate::store::{StoreError, TokenRotation};

/// Rotations that are kept: some 30 MB.
const MOST: usize = 100_000;

/// How many of the last ones a new one is compared with: a node hears of its own soon again.
const RECENT: usize = 64;

/// What was rotated, oldest first: one token may follow the other.
#[derive(Debug, Default)]
pub(super) struct Rotations(Mutex<VecDeque<Made>>);

#[derive(Debug, Clone)]
struct Made {
    learned: Instant,
    at: Timestamp,
    rotation: TokenRotation,
}

impl Rotations {
    pub(super) fn keep(&self, rotation: TokenRotation, at: Timestamp) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let successor = &rotation.successor.hash;
        let mut recent = made.iter().rev().take(RECENT);
        if recent.any(|made| made.rotation.successor.hash == *successor) {
            return;
        }
        let learned = Instant::now();
        made.push_back(Made {
            learned,
            at,
            rotation,
        });
        if made.len() > MOST {
            made.pop_front();
        }
    }

    pub(super) fn forget_old(&self) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while made
            .front()
            .is_some_and(|made| made.learned.elapsed() > KEPT)
        {
            made.pop_front();
        }
    }

    fn of(&self, slot: Slot) -> Vec<Made> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_slot = made
            .iter()
            .filter(|made| slot_of(made.rotation.session_id) == slot);
        of_slot.cloned().collect()
    }
}

impl Inner {
    /// How many sessions of a shard had a token again that was rotated.
    pub(super) async fn rotate_again(&self, shard: u8) -> Result<u64, StoreError> {
        let slot = Slot::Shard(shard);
        let mut count = 0;
        for made in self.remembered.rotations().of(slot).chunks(STEP) {
            let args = made.iter().fold(Args::new().show(made.len()), with);
            let effect = Effect::Repeatable;
            let mut reply = self.run(slot, &scripts::ROTATE_AGAIN, args, effect).await?;
            reply.text()?;
            count += reply.number()?.unsigned_abs();
        }
        Ok(count)
    }
}

fn with(args: Args, made: &Made) -> Args {
    let rotation = &made.rotation;
    args.bytes(rotation.session_id.as_bytes())
        .bytes(rotation.presented.as_bytes())
        .bytes(rotation.successor.hash.as_bytes())
        .bytes(&rotation.successor.sealed.0)
        .show(made.at.millis())
        .millis(rotation.grace)
        .show(&rotation.access.service_id)
}
