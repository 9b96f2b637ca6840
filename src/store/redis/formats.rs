//! In which format is written what gateways share.
//!
//! A version that brings a new format reads both and writes the old one until every gateway reads the new one. Then it
//! notes the new one beside the services, and writes it. Who is started and goes no further than an older format than
//! is noted does not start, whoever else runs then. What is written never goes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::redis;
use tokio::time::{Instant, sleep};

use super::call::call;
use super::client::Client;
use super::connections::{Effect, OpenError};
use super::fields::Fields;
use super::keys::SERVICES;
use super::reply::{newer, optional_bytes};
use crate::store::StoreError;
use crate::store::node::presence::Presence;

/// The newest format that this version reads and writes.
pub const NEWEST_FORMAT: u64 = 1;
/// The format that is written where none is noted.
const FIRST: u64 = 1;
/// What error messages call the note.
const NOTE: &str = "format";
/// Who looked before a format was noted is heard of within this time.
const SETTLED: Duration = Duration::from_secs(1);
/// For how long a store that opened and does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

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

    fn write(&self, format: u64) {
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

/// How far the gateways have come that agree on a format.
#[derive(Debug)]
pub(super) struct Agreement {
    pub(super) presence: Presence,
    noted: u64,
    since: Instant,
    notes: bool,
}

impl Agreement {
    pub(super) fn new(settings: FormatSettings, noted: u64) -> Self {
        Self {
            presence: Presence::new(settings.presence),
            noted,
            since: Instant::now(),
            notes: false,
        }
    }

    /// Goes on as far as all was heard up to a moment; tells a format that is to be noted now.
    pub(super) fn advance(&mut self, formats: &Formats, heard_until: Instant) -> Option<u64> {
        let common = self.presence.common_format(heard_until).unwrap_or(FIRST);
        let wanted = formats.written().max(common);
        if wanted > self.noted {
            let begins = !std::mem::replace(&mut self.notes, true);
            return begins.then_some(wanted);
        }
        if heard_until.saturating_duration_since(self.since) >= SETTLED {
            formats.write(wanted);
        }
        None
    }

    pub(super) fn noted(&mut self, format: Option<u64>) {
        self.notes = false;
        if let Some(format) = format {
            self.noted = format;
            self.since = Instant::now();
        }
    }

    /// The note may be lost.
    pub(super) fn forget(&mut self) {
        self.noted = FIRST;
    }
}

call! {
    struct NoteFormat: "note_format.lua", "allow-oom", [MESSAGE] {
        format: u64,
    }
    NOTE, replicated: false, effect: Effect::Repeatable;
    (self, _reply) -> () { "done" => (), }
}

impl Client {
    /// Writes what is noted from now on, and tells it; an error if this gateway does not go so far.
    pub(super) async fn join(&self) -> Result<u64, OpenError> {
        let until = Instant::now() + PATIENCE;
        let noted = loop {
            match self.noted_format().await {
                Err(_) if Instant::now() < until => sleep(PAUSE).await,
                noted => break noted.map_err(OpenError::Format)?,
            }
        };
        let limit = self.formats.limit;
        if noted > limit {
            return Err(OpenError::NewerFormat { noted, limit });
        }
        self.formats.write(noted);
        Ok(noted)
    }

    async fn noted_format(&self) -> Result<u64, StoreError> {
        let mut read = redis::cmd("GET");
        read.arg(self.keys.format());
        let Some(noted) = optional_bytes(self.command(SERVICES, &read).await?)? else {
            return Ok(FIRST);
        };
        let text = String::from_utf8_lossy(&noted);
        text.parse().map_err(|cause| StoreError::Corrupt {
            record: NOTE,
            cause: Box::<std::num::ParseIntError>::new(cause),
        })
    }

    /// Notes a format, unless a newer one is noted. Tells it, if that succeeded.
    pub(super) async fn note_format(&self, format: u64) -> Option<u64> {
        let key = self.keys.format();
        let noted = self.call_on(SERVICES, key, &NoteFormat { format }).await;
        noted.ok().map(|()| format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: u64 = 18;
    const OTHER: u64 = 19;

    #[test]
    fn a_format_is_written_when_it_is_noted_and_whoever_looked_before_was_heard_of() {
        let settings = FormatSettings {
            newest: 2,
            fixed: None,
            presence: Duration::from_secs(15),
        };
        let formats = Formats::new(settings);
        let mut agreement = Agreement::new(settings, FIRST);
        let start = agreement.since;
        let at = |second| start + Duration::from_secs(second);
        agreement.presence.listen(Some(start));
        agreement.presence.hear(MINE, 2, at(15));
        assert_eq!(agreement.advance(&formats, at(14)), None);
        assert_eq!(agreement.advance(&formats, at(15)), Some(2));
        assert_eq!(agreement.advance(&formats, at(15)), None, "on its way");
        agreement.noted(None);
        assert_eq!(agreement.advance(&formats, at(15)), Some(2), "it failed");
        agreement.noted(Some(2));
        agreement.since = at(16);
        agreement.presence.hear(OTHER, 1, at(16));
        assert_eq!(agreement.advance(&formats, at(17)), None);
        assert_eq!(formats.written(), 1, "another one looked before");
        agreement.presence.hear(MINE, 2, at(31));
        assert_eq!(agreement.advance(&formats, at(31)), None);
        assert_eq!(formats.written(), 2);
        agreement.presence.hear(OTHER, 1, at(32));
        assert_eq!(agreement.advance(&formats, at(33)), None);
        assert_eq!(formats.written(), 2, "it never goes back");
        agreement.forget();
        assert_eq!(agreement.advance(&formats, at(34)), Some(2), "noted again");
    }
}
