//! Profiles of logins, and the loads of them: one hash a login, in the slot of its sessions. The moments in it decide,
//! not its TTL.
//!
//! | field | |
//! | --- | --- |
//! | `f` `l` | format · login id |
//! | `v` `t` `e` `q` | details · how long they were to be fresh, in ms · until when they are · until when they are kept |
//! | `n` `u` | ticket of a load · end of its lease |
//! | `m` `w` | what a load came to, `missing` or `failed` · until when that is told |

use std::time::Duration;

use async_trait::async_trait;

use super::RedisStore;
use super::client::Client;
use super::connections::Effect;
use super::formats::Formats;
use super::hashes::{Hash, Next, Seen, Value};
use super::keys::slot_of_login;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::profile::{Profile, UserDetails};
use crate::rules::Kept;
use crate::rules::profiles::{LoadNote, LoadTicket, ProfileRecord, ProfileRequest};
use crate::store::{ProfileFacts, ProfileStore, StoreError};

/// What error messages call a profile.
const PROFILE: &str = "profile";
const FIELDS: &[&str] = &["f", "l", "v", "t", "e", "q", "n", "u", "m", "w"];

#[async_trait]
impl ProfileStore for RedisStore {
    async fn load_profile(&self, login_id: &LoginId) -> Result<ProfileFacts, StoreError> {
        let seen = self.client.see(&hash(&self.client, login_id)).await?;
        Ok(ProfileFacts {
            record: record(login_id, &seen, &self.client.formats)?.at(seen.now),
            now: seen.now,
        })
    }

    async fn write_profile(
        &self,
        login_id: &LoginId,
        request: ProfileRequest,
    ) -> Result<ProfileFacts, StoreError> {
        let hash = hash(&self.client, login_id);
        let seen = self.client.see(&hash).await?;
        let formats = &self.client.formats;
        let decide = |seen: &Seen| {
            let held = match record(login_id, seen, formats) {
                // What nobody can read is put anew, loaded anew, or removed.
                Err(StoreError::Corrupt { .. }) => ProfileRecord::nothing(login_id.clone()),
                held => held?.at(seen.now),
            };
            let next = request.decide(&held, seen.now);
            let holds_until = held.next_moment(seen.now);
            let next = next.map(|next| next_profile(next, holds_until, formats.written()));
            Ok((held, next))
        };
        let decided = self
            .client
            .decide_over(&hash, seen, effect(&request), decide);
        let (record, now) = decided.await?;
        Ok(ProfileFacts { record, now })
    }
}

/// The same load is granted twice; who did anything else must hear what came of it.
fn effect(request: &ProfileRequest) -> Effect {
    match request {
        ProfileRequest::BeginLoad { .. } => Effect::Repeatable,
        ProfileRequest::Put(_) | ProfileRequest::Remove | ProfileRequest::EndLoad { .. } => {
            Effect::Once
        }
    }
}

fn hash(client: &Client, login_id: &LoginId) -> Hash {
    Hash {
        slot: slot_of_login(login_id),
        key: client.keys.profile(login_id),
        fields: FIELDS,
    }
}

fn record(login_id: &LoginId, seen: &Seen, formats: &Formats) -> Result<ProfileRecord, StoreError> {
    let there = seen.format(PROFILE, formats)?.is_some();
    if !there || seen.bytes("l") != Some(login_id.as_str().as_bytes()) {
        return Ok(ProfileRecord::nothing(login_id.clone()));
    }
    let ticket = seen.bytes("n").and_then(|bytes| bytes.try_into().ok());
    let note = match seen.bytes("m") {
        Some(b"missing") => Some(LoadNote::Missing),
        Some(b"failed") => Some(LoadNote::Failed),
        Some(_) | None => None,
    };
    Ok(ProfileRecord {
        login_id: login_id.clone(),
        kept: kept(profile(seen)?, seen.moment("q")),
        load: kept(ticket.map(LoadTicket), seen.moment("u")),
        note: kept(note, seen.moment("w")),
    })
}

fn kept<T>(value: Option<T>, until: Option<Timestamp>) -> Option<Kept<T>> {
    Some(Kept {
        value: value?,
        until: until?,
    })
}

fn profile(seen: &Seen) -> Result<Option<Profile>, StoreError> {
    let Some(details) = seen.bytes("v") else {
        return Ok(None);
    };
    let details = UserDetails::parse(details).map_err(|cause| StoreError::Corrupt {
        record: PROFILE,
        cause: cause.into(),
    })?;
    let read = || {
        Some(Profile {
            details,
            ttl: Duration::from_millis(seen.number("t")?),
            expires_at: seen.moment("e")?,
        })
    };
    Ok(read())
}

/// A record that says nothing goes.
fn next_profile(record: ProfileRecord, holds_until: Option<Timestamp>, format: u64) -> Next {
    let until = record.until();
    let mut fields = Vec::new();
    if until.is_some() {
        fields.push(("f", Value::Bytes(format.to_string().into())));
        fields.push(("l", Value::Bytes(record.login_id.as_str().into())));
    }
    if let Some(Kept { until, value }) = record.kept {
        fields.push(("v", Value::Bytes(value.details.as_json().into())));
        fields.push(("t", Value::Bytes(value.ttl.as_millis().to_string().into())));
        fields.push(("e", Value::Moment(value.expires_at)));
        fields.push(("q", Value::Moment(until)));
    }
    if let Some(Kept { until, value }) = record.load {
        fields.push(("n", Value::Bytes(value.0.to_vec())));
        fields.push(("u", Value::Moment(until)));
    }
    if let Some(Kept { until, value }) = record.note {
        let word = match value {
            LoadNote::Missing => "missing",
            LoadNote::Failed => "failed",
        };
        fields.push(("m", Value::Bytes(word.into())));
        fields.push(("w", Value::Moment(until)));
    }
    Next {
        fields,
        holds_until,
        until,
    }
}
