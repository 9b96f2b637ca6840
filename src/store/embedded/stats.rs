//! What the store tells of itself.

use std::collections::HashMap;

use async_trait::async_trait;
use redb::ReadableTable;

use super::record::decode;
use super::stored::StoredSession;
use super::tables::SESSIONS;
use super::{EmbeddedStore, Shared, owners};
use crate::model::owner::Owner;
use crate::model::session::SessionState;
use crate::store::{SessionCounts, Stats, StoreError, StoreStats};

#[async_trait]
impl StoreStats for EmbeddedStore {
    async fn session_counts(&self) -> Result<SessionCounts, StoreError> {
        self.scan(session_counts).await
    }

    async fn owned(&self) -> Result<HashMap<Owner, u64>, StoreError> {
        self.look(owners::read).await
    }

    fn stats(&self) -> Stats {
        Stats {
            uses_waiting: self.shared.activity.waiting(),
            ..Stats::default()
        }
    }
}

/// Walks over all records of one snapshot. What cannot be read is no session that anybody is told of.
fn session_counts(shared: &Shared) -> Result<SessionCounts, StoreError> {
    let now = shared.now();
    let sessions = shared.read()?.open_table(SESSIONS)?;
    let mut session_counts = SessionCounts::default();
    for row in sessions.iter()? {
        let mut stored: StoredSession = match decode(row?.1.value()) {
            Ok(stored) => stored,
            Err(StoreError::Corrupt { .. } | StoreError::NewerFormat { .. }) => continue,
            Err(error) => return Err(error),
        };
        shared.overlay(&mut stored.record);
        if stored.record.over(now).is_some() {
            continue;
        }
        session_counts.live += 1;
        match shared.terms(now).shown(stored.record).state {
            SessionState::Active => session_counts.active += 1,
            SessionState::Idle => session_counts.idle += 1,
            SessionState::Connecting | SessionState::Disconnecting | SessionState::Closed => {}
        }
    }
    Ok(session_counts)
}
