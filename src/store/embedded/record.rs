//! How records are stored: one byte for the format, then postcard. A record of a newer format is refused, and since
//! every write of a record reads it first, it is never overwritten.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::format1::{Session1, Tombstone1};
use super::stored::{StoredEvent, StoredSession};
use crate::model::Timestamp;
use crate::model::event::Change;
use crate::model::keyring::Keyring;
use crate::model::limit::SessionLimit;
use crate::model::login::Ban;
use crate::model::quota::Quotas;
use crate::model::service::{Service, ServiceRecord};
use crate::model::session::{EndDetail, Tombstone};
use crate::rules::Kept;
use crate::rules::idempotency::IdempotencyRecord;
use crate::rules::operation::OperationRecord;
use crate::rules::profiles::ProfileRecord;
use crate::store::{Cause, StoreError};

/// What takes a record from the front of bytes, and gives the rest.
type Taken<'b, T> = Result<(T, &'b [u8]), postcard::Error>;

/// A kind of record. One that knows of something beside it is of its newest format where there is such a thing.
pub(super) trait Stored: Serialize + DeserializeOwned {
    /// What errors call it.
    const NAME: &'static str;
    /// The format it is written in when nothing is beside it.
    const FORMAT: u8 = 1;
    /// The newest format: where something may be beside it, the one for both.
    const NEWEST: u8 = Self::FORMAT;
    /// What may be stored beside it.
    type Beside: Serialize + DeserializeOwned;

    /// Reads a record of another format; none if there never was such a one.
    fn take_older(_format: u8, _body: &[u8]) -> Option<Taken<'_, Self>> {
        None
    }

    fn beside(&self) -> Option<Self::Beside> {
        None
    }

    fn put_beside(&mut self, _beside: Self::Beside) {}
}

/// Reads a record of format 1 that has changed since.
fn take_first<'b, Old: Deserialize<'b>, New: From<Old>>(
    format: u8,
    body: &'b [u8],
) -> Option<Taken<'b, New>> {
    let take = || postcard::take_from_bytes::<Old>(body).map(|(old, rest)| (old.into(), rest));
    (format == 1).then(take)
}

impl Stored for StoredSession {
    const NAME: &'static str = "session";
    const FORMAT: u8 = 2;
    const NEWEST: u8 = 4;
    /// The registration of the service that opened it, and whether its token was never used.
    type Beside = (Option<Timestamp>, bool);

    fn take_older(format: u8, body: &[u8]) -> Option<Taken<'_, Self>> {
        if format == 3 {
            let taken = postcard::take_from_bytes::<(Self, Timestamp)>(body);
            return Some(taken.map(|((mut old, registration), rest)| {
                old.put_beside((Some(registration), false));
                (old, rest)
            }));
        }
        take_first::<Session1, _>(format, body)
    }

    fn beside(&self) -> Option<Self::Beside> {
        let (registration, unused) = (self.record.registration, self.record.is_unused());
        (registration.is_some() || unused).then_some((registration, unused))
    }

    fn put_beside(&mut self, (registration, unused): Self::Beside) {
        self.record.registration = registration;
        if let Some(rotation) = &mut self.record.rotation {
            rotation.unused = unused;
        }
    }
}

impl Stored for Kept<Tombstone> {
    const NAME: &'static str = "tombstone";
    const FORMAT: u8 = 2;
    const NEWEST: u8 = 4;
    /// What was said about the ending, and the registration of the service that had opened the session.
    type Beside = (Option<EndDetail>, Option<Timestamp>);

    fn take_older(format: u8, body: &[u8]) -> Option<Taken<'_, Self>> {
        if format == 3 {
            let taken = postcard::take_from_bytes::<(Self, EndDetail)>(body);
            return Some(taken.map(|((mut old, detail), rest)| {
                old.value.ended.detail = Some(detail);
                (old, rest)
            }));
        }
        take_first::<Tombstone1, _>(format, body)
    }

    fn beside(&self) -> Option<Self::Beside> {
        let Tombstone {
            ended,
            registration,
            ..
        } = &self.value;
        let is_any = ended.detail.is_some() || registration.is_some();
        is_any.then(|| (ended.detail.clone(), *registration))
    }

    fn put_beside(&mut self, (detail, registration): Self::Beside) {
        self.value.ended.detail = detail;
        self.value.registration = registration;
    }
}

impl Stored for Kept<OperationRecord> {
    const NAME: &'static str = "operation";
    type Beside = ();
}

impl Stored for IdempotencyRecord {
    const NAME: &'static str = "idempotency record";
    type Beside = ();
}

impl Stored for StoredEvent {
    const NAME: &'static str = "event";
    const NEWEST: u8 = 2;
    type Beside = EndDetail;

    fn beside(&self) -> Option<EndDetail> {
        if let Change::SessionEnded { detail, .. } = &self.fact.change {
            detail.clone()
        } else {
            None
        }
    }

    fn put_beside(&mut self, beside: EndDetail) {
        if let Change::SessionEnded { detail, .. } = &mut self.fact.change {
            *detail = Some(beside);
        }
    }
}

impl Stored for Ban {
    const NAME: &'static str = "ban";
    type Beside = ();
}

impl Stored for ProfileRecord {
    const NAME: &'static str = "profile";
    type Beside = ();
}

impl Stored for Keyring {
    const NAME: &'static str = "keyring";
    type Beside = ();
}

impl Stored for ServiceRecord {
    const NAME: &'static str = "service";
    const NEWEST: u8 = 3;
    /// Its limits.
    type Beside = (Option<SessionLimit>, Quotas);

    fn take_older(format: u8, body: &[u8]) -> Option<Taken<'_, Self>> {
        let take = || postcard::take_from_bytes::<(Self, SessionLimit)>(body);
        (format == 2).then(|| {
            take().map(|((mut old, limit), rest)| {
                old.service.session_limit = Some(limit);
                (old, rest)
            })
        })
    }

    fn beside(&self) -> Option<Self::Beside> {
        let Service {
            session_limit,
            quotas,
            ..
        } = &self.service;
        let is_any = session_limit.is_some() || !quotas.is_empty();
        is_any.then(|| (*session_limit, quotas.clone()))
    }

    fn put_beside(&mut self, (limit, quotas): Self::Beside) {
        self.service.session_limit = limit;
        self.service.quotas = quotas;
    }
}

/// What is wrong with the bytes of a record, beyond what postcard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Damage {
    #[error("it is empty")]
    Empty,
    #[error("its format is none that ever was")]
    Format,
    #[error("bytes follow its end")]
    Tail,
    #[error("it names another key than it is stored under")]
    Key,
}

pub(super) fn corrupt<T: Stored>(cause: impl Into<Cause>) -> StoreError {
    StoreError::Corrupt {
        record: T::NAME,
        cause: cause.into(),
    }
}

pub(super) fn encode<T: Stored>(record: &T) -> Result<Vec<u8>, StoreError> {
    let encoded = match record.beside() {
        None => postcard::to_extend(record, vec![T::FORMAT]),
        Some(beside) => postcard::to_extend(&(record, beside), vec![T::NEWEST]),
    };
    encoded.map_err(corrupt::<T>)
}

pub(super) fn decode<T: Stored>(bytes: &[u8]) -> Result<T, StoreError> {
    let Some((&format, body)) = bytes.split_first() else {
        return Err(corrupt::<T>(Damage::Empty));
    };
    if format > T::NEWEST {
        return Err(StoreError::NewerFormat {
            record: T::NAME,
            format,
        });
    }
    if format == T::NEWEST && format > T::FORMAT {
        let taken = postcard::take_from_bytes::<(T, T::Beside)>(body);
        let (mut record, beside) = whole::<T, _>(taken)?;
        record.put_beside(beside);
        return Ok(record);
    }
    if format == T::FORMAT {
        return whole::<T, _>(postcard::take_from_bytes(body));
    }
    match T::take_older(format, body) {
        Some(taken) => whole::<T, _>(taken),
        None => Err(corrupt::<T>(Damage::Format)),
    }
}

/// What was taken, if nothing follows it.
fn whole<T: Stored, V>(taken: Taken<'_, V>) -> Result<V, StoreError> {
    match taken {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(corrupt::<T>(Damage::Tail)),
        Err(error) => Err(corrupt::<T>(error)),
    }
}
