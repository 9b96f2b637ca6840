//! Lists come in pages: a limit, and an opaque cursor that stays true while the list changes.

use std::borrow::Cow;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// How many items a page may hold: 1 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u16, minimum = 1, maximum = 1000, default = 50)]
pub struct PageLimit(usize);

impl PageLimit {
    /// The most items of a page.
    pub const MAX: usize = 1_000;

    /// Of work that goes page by page and must not hold up others.
    pub const STEP: Self = Self(200);

    /// The largest page.
    pub const LARGEST: Self = Self(Self::MAX);

    /// Takes 1 to [`PageLimit::MAX`].
    #[must_use]
    pub fn new(limit: usize) -> Option<Self> {
        (1..=Self::MAX).contains(&limit).then_some(Self(limit))
    }

    /// The same, or less if no more than so many items are wanted; one at least.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        Self(self.0.min(most).max(1))
    }

    /// The number of items.
    #[must_use]
    pub fn get(self) -> usize {
        self.0
    }
}

impl<'de> Deserialize<'de> for PageLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = usize::deserialize(deserializer).ok().and_then(Self::new);
        limit.ok_or_else(|| de::Error::custom("`limit` must be a number from 1 to 1000"))
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// The most records one page looks at, so that a filter that matches little cannot occupy the store.
pub const RECORDS_PER_PAGE: usize = 2_000;

/// The most bytes of a page as JSON, unless its only item has more.
pub const PAGE_BYTES: usize = 4 * 1_024 * 1_024;

/// What stands in a page beside its items, the commas between them too.
const BESIDE_ITEMS: usize = 16 * 1_024;

/// The most bytes of attributes that one page looks at, as those that a filter passes over are read, too.
const BYTES_LOOKED_AT: usize = 4 * PAGE_BYTES;

/// What a page has still room for.
#[derive(Debug)]
pub struct PageRoom {
    items: usize,
    bytes: usize,
    records: usize,
    bytes_looked_at: usize,
    is_empty: bool,
}

impl PageRoom {
    /// That of a page of so many items.
    #[must_use]
    pub fn new(limit: PageLimit) -> Self {
        Self {
            items: limit.get(),
            bytes: PAGE_BYTES - BESIDE_ITEMS,
            records: RECORDS_PER_PAGE,
            bytes_looked_at: BYTES_LOOKED_AT,
            is_empty: true,
        }
    }

    /// How many records it may still look at.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether it ends here, before anything else is looked at.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.items == 0 || self.records == 0 || self.bytes_looked_at == 0
    }

    /// Notes a record that it has looked at.
    pub fn look(&mut self, bytes: usize) {
        self.records = self.records.saturating_sub(1);
        self.bytes_looked_at = self.bytes_looked_at.saturating_sub(bytes);
    }

    /// Takes room for an item. If there is not enough, the page ends before it.
    #[must_use]
    pub fn take(&mut self, item: &impl Serialize) -> bool {
        let bytes = json_bytes(item);
        let fits = self.is_empty || bytes <= self.bytes;
        if fits {
            self.is_empty = false;
            self.items = self.items.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        fits
    }
}

/// What has no JSON form fills a page; whoever writes it is told.
fn json_bytes(item: &impl Serialize) -> usize {
    let mut written = Written(0);
    match serde_json::to_writer(&mut written, item) {
        Ok(()) => written.0,
        Err(_no_json) => PAGE_BYTES,
    }
}

/// Counts bytes.
struct Written(usize);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The most characters a cursor has in text form: a place in 256 shards fits.
const MAX_TEXT: usize = 8_192;

/// An exact place in a list. Only the store that made it reads its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// A cursor for a place that the store describes in bytes.
    #[must_use]
    pub fn new(position: Vec<u8>) -> Self {
        Self(position)
    }

    /// The bytes the store gave.
    #[must_use]
    pub fn position(&self) -> &[u8] {
        &self.0
    }

    /// Reads the text form; `None` if no cursor has it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        bytes_of(text).map(Self)
    }

    /// The text form, safe in a query.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

/// A place in a list as callers hold it: sealed, and good for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(as = Cursor, value_type = String, min_length = 1, max_length = 8192, pattern = r"^[A-Za-z0-9_-]+$")]
pub struct SealedCursor(Vec<u8>);

impl SealedCursor {
    /// One of these bytes.
    #[must_use]
    pub fn new(sealed: Vec<u8>) -> Self {
        Self(sealed)
    }

    /// The sealed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SealedCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = bytes_of(&text).map(Self);
        bytes.ok_or_else(|| de::Error::custom("`cursor` is not one of this list"))
    }
}

impl Serialize for SealedCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Some items of a list, and where to go on; no cursor ends the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C = Cursor> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// The place after the last record that was looked at.
    pub next: Option<C>,
}
