//! Reads a backup, and knows whether it is whole.

use std::io::{self, BufRead, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{BACKUP_FORMAT, BackupLine, RecordKind, told};
use crate::model::Timestamp;

/// The most bytes of a line: more than a session with all the attributes it may have takes as text.
const MAX_LINE: usize = 2 * 1024 * 1024;

/// Why a backup cannot be relied on.
#[derive(Debug, Error)]
pub enum BackupFault {
    /// It cannot be read.
    #[error("the backup cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A line is none of a backup.
    #[error("line {line} of the backup {wrong}")]
    Line {
        /// Which, from 1 on.
        line: u64,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// A newer version has made it.
    #[error("the backup has the form {0}, this version reads {BACKUP_FORMAT}")]
    Form(u32),
    /// Its end is missing.
    #[error("the backup is not whole: its last line is missing")]
    CutOff,
    /// It was changed, or lost something on its way.
    #[error("the backup is not what was made: its lines are not those that its last line tells of")]
    Changed,
}

/// A record, and what it is under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRecord {
    /// What it is.
    pub kind: RecordKind,
    /// What it is under.
    pub key: Vec<u8>,
    /// The record, behind the byte of its format.
    pub value: Vec<u8>,
}

/// The records of a backup, in order.
#[derive(Debug)]
pub struct BackupReader<B> {
    lines: B,
    line: Vec<u8>,
    number: u64,
    read: Sha256,
    records: u64,
    at: Timestamp,
}

impl<B: BufRead> BackupReader<B> {
    /// Reads the first line.
    pub fn begin(lines: B) -> Result<Self, BackupFault> {
        let mut reader = Self {
            lines,
            line: Vec::new(),
            number: 0,
            read: Sha256::new(),
            records: 0,
            at: Timestamp::from_millis(0),
        };
        match reader.next_line()? {
            Some(BackupLine::Begin { format, at }) if format == BACKUP_FORMAT => {
                reader.at = at;
                Ok(reader)
            }
            Some(BackupLine::Begin { format, .. }) => Err(BackupFault::Form(format)),
            Some(BackupLine::Record { .. } | BackupLine::End { .. }) | None => {
                Err(reader.wrong("is not the first of a backup"))
            }
        }
    }

    /// The moment that the backup is of.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// How many records were read.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next record; none after the last, if the last line confirms all others.
    pub fn next_record(&mut self) -> Result<Option<BackupRecord>, BackupFault> {
        let before = told(&self.read);
        match self.next_line()? {
            Some(BackupLine::Record { kind, key, value }) => {
                let decoded = STANDARD.decode(key).ok().zip(STANDARD.decode(value).ok());
                let (key, value) = decoded.ok_or_else(|| self.wrong("is no base64"))?;
                self.records += 1;
                Ok(Some(BackupRecord { kind, key, value }))
            }
            Some(BackupLine::End { records, sha256 }) => {
                let is_last = records == self.records && sha256 == before;
                if is_last && self.lines.fill_buf()?.is_empty() {
                    Ok(None)
                } else {
                    Err(BackupFault::Changed)
                }
            }
            Some(BackupLine::Begin { .. }) => Err(self.wrong("begins another backup")),
            None => Err(BackupFault::CutOff),
        }
    }

    /// Says what is wrong with the line that was read last.
    pub fn wrong(&self, wrong: &'static str) -> BackupFault {
        BackupFault::Line {
            line: self.number,
            wrong,
        }
    }

    fn next_line(&mut self) -> Result<Option<BackupLine>, BackupFault> {
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut self.lines).take(MAX_LINE as u64);
        if bounded.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.read.update(&self.line);
        if self.line.last() != Some(&b'\n') {
            return Err(if self.line.len() < MAX_LINE {
                BackupFault::CutOff
            } else {
                self.wrong("is too long")
            });
        }
        match serde_json::from_slice(&self.line) {
            Ok(line) => Ok(Some(line)),
            Err(_none) => Err(self.wrong("is none of a backup")),
        }
    }
}
