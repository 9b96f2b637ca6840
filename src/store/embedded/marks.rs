//! Marks: what an operation did, for its repetitions.

use std::time::Duration;

use redb::ReadableTable;

use super::record::encode;
use super::rows::row;
use super::stored::{Effect, Kept};
use super::tables::kind;
use super::txn::Txn;
use crate::store::{Mark, StoreError};

/// Marks and claims are kept for 24 hours.
pub(super) const REPETITION_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

impl Txn<'_> {
    /// What the first operation with this mark did.
    pub(super) fn effect(&self, mark: Option<Mark>) -> Result<Option<Effect>, StoreError> {
        let Some(mark) = mark else { return Ok(None) };
        let kept: Option<Kept<Effect>> = row(self.marks.get(&mark.0)?)?;
        Ok(kept
            .filter(|kept| self.now < kept.until)
            .map(|kept| kept.value))
    }

    /// Keeps what the operation with this mark did.
    pub(super) fn keep_effect(
        &mut self,
        mark: Option<Mark>,
        effect: impl FnOnce() -> Effect,
    ) -> Result<(), StoreError> {
        let Some(Mark(key)) = mark else { return Ok(()) };
        self.writes();
        let kept = Kept {
            until: self.now.plus(REPETITION_RETENTION),
            value: effect(),
        };
        self.marks.insert(&key, encode(&kept)?.as_slice())?;
        let purge_at = kept.until.sort_key();
        self.purge
            .insert((purge_at, kind::MARK, key.as_slice()), ())?;
        Ok(())
    }
}
