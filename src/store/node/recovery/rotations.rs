//! Rotations of tokens, as this node made them or heard of them. Events tell no hashes of tokens, so a rotation that was
//! not heard of when it was made cannot be read later.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::KEPT;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::rules::rotate::TokenRotation;

/// Rotations that are kept: some 30 MB.
const MOST: usize = 100_000;

/// How many of the last ones a new one is compared with: a node hears of its own soon again.
const RECENT: usize = 64;

/// What was rotated, oldest first: one token may follow the other.
#[derive(Debug, Default)]
pub(super) struct Rotations(Mutex<VecDeque<Made>>);

#[derive(Debug, Clone)]
pub(in crate::store) struct Made {
    learned: Instant,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) rotation: TokenRotation,
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

    pub(super) fn of(&self, is_meant: impl Fn(SessionId) -> bool) -> Vec<Made> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = made
            .iter()
            .filter(|made| is_meant(made.rotation.session_id));
        meant.cloned().collect()
    }
}
