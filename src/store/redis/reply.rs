//! What scripts answer: a word first, then values in an order that both sides know.

use std::vec::IntoIter;

use deadpool_redis::redis::Value;
use thiserror::Error;

use super::fields::Fields;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::store::StoreError;

#[derive(Debug, Error)]
#[error("Redis answered something else than was asked")]
struct OddAnswer;

fn odd() -> StoreError {
    StoreError::Unavailable(Box::new(OddAnswer))
}

/// The answer of a script, read from front to back.
#[derive(Debug)]
pub(super) struct Reply(IntoIter<Value>);

impl Reply {
    pub(super) fn new(value: Value) -> Result<Self, StoreError> {
        if let Value::Array(values) = value {
            Ok(Self(values.into_iter()))
        } else {
            Err(odd())
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        bytes(self.0.next().ok_or_else(odd)?)
    }

    pub(super) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        optional_bytes(self.0.next().ok_or_else(odd)?)
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.bytes()?).map_err(|_not_text| odd())
    }

    pub(super) fn number(&mut self) -> Result<i64, StoreError> {
        number(self.0.next().ok_or_else(odd)?)
    }

    pub(super) fn moment(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(Timestamp::from_millis)
    }

    pub(super) fn list(&mut self) -> Result<Self, StoreError> {
        Self::new(self.0.next().ok_or_else(odd)?)
    }

    pub(super) fn fields(&mut self) -> Result<Fields, StoreError> {
        fields(self.0.next().ok_or_else(odd)?)
    }

    /// Session ids in one text of bytes.
    pub(super) fn packed_ids(&mut self) -> Result<Vec<SessionId>, StoreError> {
        let bytes = self.bytes()?;
        let (ids, rest) = bytes.as_chunks::<16>();
        if rest.is_empty() {
            Ok(ids.iter().copied().map(SessionId::from_bytes).collect())
        } else {
            Err(odd())
        }
    }

    pub(super) fn ids(&mut self) -> Result<Vec<SessionId>, StoreError> {
        ids(self.0.next().ok_or_else(odd)?)
    }

    /// Whether the next value is nothing.
    pub(super) fn is_nil(&mut self) -> Result<bool, StoreError> {
        Ok(self.0.next().ok_or_else(odd)? == Value::Nil)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// A word that is none of those the caller knows.
    pub(super) fn unexpected(mut self, record: &'static str, word: &str) -> StoreError {
        match self.text() {
            Ok(format) if word == "newer" => newer(record, format.as_bytes()),
            Ok(_) | Err(_) => odd(),
        }
    }
}

/// The error about a record of a newer format.
pub(super) fn newer(record: &'static str, format: &[u8]) -> StoreError {
    let format = std::str::from_utf8(format).ok();
    StoreError::NewerFormat {
        record,
        format: format
            .and_then(|format| format.parse().ok())
            .unwrap_or(u8::MAX),
    }
}

fn bytes(value: Value) -> Result<Vec<u8>, StoreError> {
    if let Value::BulkString(bytes) = value {
        Ok(bytes)
    } else {
        Err(odd())
    }
}

pub(super) fn number(value: Value) -> Result<i64, StoreError> {
    if let Value::Int(number) = value {
        return Ok(number);
    }
    let text = String::from_utf8(bytes(value)?).map_err(|_not_text| odd())?;
    text.parse().map_err(|_not_a_number| odd())
}

pub(super) fn optional_bytes(value: Value) -> Result<Option<Vec<u8>>, StoreError> {
    if value == Value::Nil {
        Ok(None)
    } else {
        bytes(value).map(Some)
    }
}

pub(super) fn fields(value: Value) -> Result<Fields, StoreError> {
    if let Value::Map(pairs) = value {
        let pairs = pairs.into_iter();
        let pairs = pairs.map(|(name, value)| Ok((bytes(name)?, bytes(value)?)));
        return pairs.collect();
    }
    let mut flat = Reply::new(value)?;
    let mut fields = Vec::with_capacity(flat.0.len() / 2);
    while !flat.is_empty() {
        fields.push((flat.bytes()?, flat.bytes()?));
    }
    Ok(fields)
}

/// A list of session ids; what is none is left out.
pub(super) fn ids(value: Value) -> Result<Vec<SessionId>, StoreError> {
    let mut list = Reply::new(value)?;
    let mut ids = Vec::new();
    while !list.is_empty() {
        if let Ok(id) = <[u8; 16]>::try_from(list.bytes()?) {
            ids.push(SessionId::from_bytes(id));
        }
    }
    Ok(ids)
}
