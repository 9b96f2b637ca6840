//! What a backup of a store is: lines of JSON, each a record with the key it is under.
//!
//! What follows from records, as every index does, is not in it. The first line tells when it was made, the last what
//! there was before it, so that one that was cut off or changed is known as such.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::StoreError;
use crate::model::Timestamp;

mod reader;

pub use reader::{BackupFault, BackupReader, BackupRecord};

/// The form of a backup that this version writes and reads.
pub const BACKUP_FORMAT: u32 = 1;

/// A line of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case", deny_unknown_fields)]
pub enum BackupLine {
    /// The first.
    Begin {
        /// The form of all that follows.
        format: u32,
        /// The one moment that all records are of.
        at: Timestamp,
    },
    /// One record.
    Record {
        /// What it is.
        kind: RecordKind,
        /// What it is under, in base64.
        key: String,
        /// The record as it is stored, behind the byte of its format, in base64.
        value: String,
    },
    /// The last.
    End {
        /// How many records there are.
        records: u64,
        /// SHA-256 of all lines before this one, in hexadecimal digits.
        sha256: String,
    },
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A registered service.
    Service,
    /// The keys of a purpose.
    Keyring,
    /// The ban of a login.
    Ban,
    /// What is known of a user.
    Profile,
    /// A session.
    Session,
    /// What is known of a session that has ended.
    Tombstone,
    /// An event.
    Event,
    /// The number of the last event that is no longer kept.
    Trimmed,
    /// An idempotency key.
    Claim,
    /// What an operation with a key did.
    Operation,
    /// Until when a network is slowed down.
    Throttle,
}

/// The digest of the lines so far, as the last line tells it.
pub(super) fn told(lines: &Sha256) -> String {
    let digest = lines.clone().finalize();
    digest.iter().fold(String::new(), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(half.into(), 16));
        }
        text
    })
}

/// A backup in the making, piece by piece; an error is the end of one that is not whole.
pub type BackupPieces = mpsc::Receiver<Result<Bytes, StoreError>>;

/// A store that can be backed up while it is used.
#[async_trait]
pub trait BackupSource: Debug + Send + Sync {
    /// Begins a backup of this moment. One is made at a time, and ends when nobody takes it.
    async fn back_up(&self) -> Result<BackupPieces, StoreError>;
}
