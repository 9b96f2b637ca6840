//! In which formats this gateway reads and writes what gateways share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::fields::Fields;
use super::reply::newer;
use crate::store::StoreError;

/// The newest format that this version reads and writes.
pub const NEWEST_FORMAT: u64 = 3;
/// From this one on an idempotency record may hold what remains of an answer. From the third on whoever ends a session takes it
/// from the count of its owner. All else is as in the first.
pub(super) const WITH_REMAINS: u64 = 2;
/// The format that is written where none is noted.
pub(super) const FIRST: u64 = 1;

/// What a gateway reads, and may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatSettings {
    /// The newest format that it reads.
    pub newest: u64,
    /// The format that it writes, whatever others read, and further than which none go while it runs.
    pub fixed: Option<u64>,
    /// How long a gateway counts after its last heartbeat.
    pub presence: Duration,
}

impl Default for FormatSettings {
    fn default() -> Self {
        Self {
            newest: NEWEST_FORMAT,
            fixed: None,
            presence: Duration::from_secs(15),
        }
    }
}

/// What this gateway reads and writes.
#[derive(Debug)]
pub(super) struct Formats {
    /// The newest that it reads.
    pub(super) newest: u64,
    /// The newest that it goes along with.
    pub(super) limit: u64,
    written: AtomicU64,
}

impl Formats {
    pub(super) fn new(settings: FormatSettings) -> Self {
        Self {
            newest: settings.newest,
            limit: settings.fixed.unwrap_or(settings.newest),
            written: AtomicU64::new(settings.fixed.unwrap_or(FIRST)),
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(super) fn write(&self, format: u64) {
        if self.written.fetch_max(format, Ordering::AcqRel) < format {
            tracing::info!(format, "redis.format");
        }
    }

    /// Whether this version reads a format, if it is one.
    pub(super) fn reads(&self, format: &[u8]) -> Option<bool> {
        let format = std::str::from_utf8(format).ok()?.parse().ok()?;
        Some((FIRST..=self.newest).contains(&format))
    }

    /// The fields of a record, unless they are of a newer format.
    pub(super) fn known(&self, record: &'static str, fields: Fields) -> Result<Fields, StoreError> {
        match fields.iter().find(|(name, _)| name == b"f") {
            Some((_, format)) if self.reads(format) == Some(false) => Err(newer(record, format)),
            Some(_) | None => Ok(fields),
        }
    }
}
