//! Records of format 1: sessions and tombstones that know of no rotation.

use std::time::Duration;

use serde::Deserialize;

use super::stored::StoredSession;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::record::SessionRecord;
use crate::model::session::{EndReason, Ended, Session, Tombstone};
use crate::model::session_token::StoredToken;
use crate::rules::Kept;

#[derive(Deserialize)]
pub(super) struct Session1 {
    session: Session,
    idle_timeout: Duration,
    token: StoredToken,
    indexed_at: Timestamp,
}

/// A tombstone, and until when it is kept.
#[derive(Deserialize)]
pub(super) struct Tombstone1 {
    until: Timestamp,
    session_id: SessionId,
    login_id: LoginId,
    service_id: ServiceId,
    ended: Ended1,
    token: StoredToken,
}

#[derive(Deserialize)]
struct Ended1 {
    reason: EndReason,
    at: Timestamp,
    by: Option<ServiceId>,
}

impl From<Session1> for StoredSession {
    fn from(old: Session1) -> Self {
        Self {
            record: SessionRecord {
                session: old.session,
                idle_timeout: old.idle_timeout,
                token: old.token,
                rotation: None,
                registration: None,
                marked: None,
            },
            indexed_at: old.indexed_at,
        }
    }
}

impl From<Tombstone1> for Kept<Tombstone> {
    fn from(old: Tombstone1) -> Self {
        Self {
            until: old.until,
            value: Tombstone {
                session_id: old.session_id,
                login_id: old.login_id,
                service_id: old.service_id,
                ended: Ended {
                    reason: old.ended.reason,
                    at: old.ended.at,
                    by: old.ended.by,
                    detail: None,
                },
                token: old.token,
                former: None,
                registration: None,
            },
        }
    }
}
