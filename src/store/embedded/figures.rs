//! What the store tells of itself.

use async_trait::async_trait;
use redb::ReadableTable;

use super::record::decode;
use super::stored::StoredSession;
use super::tables::SESSIONS;
use super::{EmbeddedStore, Shared};
use crate::model::session::SessionState;
use crate::store::{Census, Figures, StoreError, StoreFigures};

#[async_trait]
impl StoreFigures for EmbeddedStore {
    async fn census(&self) -> Result<Census, StoreError> {
        self.scan(census).await
    }

    fn figures(&self) -> Figures {
        Figures {
            uses_waiting: self.shared.touches.waiting(),
            ..Figures::default()
        }
    }
}

/// Walks over all records of one snapshot. What cannot be read is no session that anybody is told of.
fn census(shared: &Shared) -> Result<Census, StoreError> {
    let now = shared.now();
    let sessions = shared.read()?.open_table(SESSIONS)?;
    let mut census = Census::default();
    for row in sessions.iter()? {
        let mut stored: StoredSession = match decode(row?.1.value()) {
            Ok(stored) => stored,
            Err(StoreError::Corrupt { .. } | StoreError::NewerFormat { .. }) => continue,
            Err(error) => return Err(error),
        };
        shared.touches.overlay(&mut stored.record);
        if stored.record.expired(now).is_some() {
            continue;
        }
        census.live += 1;
        match shared.terms(now).shown(stored.record).state {
            SessionState::Active => census.active += 1,
            SessionState::Idle => census.idle += 1,
            SessionState::Connecting | SessionState::Disconnecting | SessionState::Closed => {}
        }
    }
    Ok(census)
}
