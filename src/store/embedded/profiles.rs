//! Profiles of logins, and the loads of them.

use std::time::Duration;

use async_trait::async_trait;
use redb::ReadableTable;

use super::record::encode;
use super::rows::row;
use super::stored::{LoadNote, StoredProfile};
use super::tables::{Bytes, Id, PROFILES, kind, login_key};
use super::txn::Txn;
use super::{EmbeddedStore, Shared};
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::profile::Profile;
use crate::rules::terms::Kept;
use crate::store::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile, ProfileStore,
    StoreError,
};

#[async_trait]
impl ProfileStore for EmbeddedStore {
    async fn put_profile(
        &self,
        login_id: &LoginId,
        new: NewProfile,
    ) -> Result<Profile, StoreError> {
        let login_id = login_id.clone();
        self.writer
            .write(move |txn| {
                let mut stored = StoredProfile::nothing(login_id);
                let profile = stored.keep(new, txn.now);
                put(txn, &stored)?;
                Ok(profile)
            })
            .await
    }

    async fn find_profile(&self, login_id: &LoginId) -> Result<Option<FoundProfile>, StoreError> {
        find(&self.shared, login_id)
    }

    async fn remove_profile(&self, login_id: &LoginId) -> Result<bool, StoreError> {
        let login_id = login_id.clone();
        self.writer
            .write(move |txn| {
                let removed = stored(&txn.profiles, &login_id, txn.now)?.kept.is_some();
                put(txn, &StoredProfile::nothing(login_id))?;
                Ok(removed)
            })
            .await
    }

    async fn begin_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        cause: LoadCause,
        lease: Duration,
    ) -> Result<LoadClaim, StoreError> {
        let login_id = login_id.clone();
        self.writer
            .write(move |txn| begin(txn, &login_id, ticket, cause, lease))
            .await
    }

    async fn end_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        loaded: Loaded,
    ) -> Result<LoadEnd, StoreError> {
        let login_id = login_id.clone();
        self.writer
            .write(move |txn| end(txn, &login_id, ticket, loaded))
            .await
    }
}

fn find(shared: &Shared, login_id: &LoginId) -> Result<Option<FoundProfile>, StoreError> {
    let now = shared.now();
    let stored = stored(&shared.read()?.open_table(PROFILES)?, login_id, now)?;
    Ok(stored.kept.map(|kept| FoundProfile {
        stale: kept.value.expires_at <= now,
        profile: kept.value,
    }))
}

fn begin(
    txn: &mut Txn<'_>,
    login_id: &LoginId,
    ticket: LoadTicket,
    cause: LoadCause,
    lease: Duration,
) -> Result<LoadClaim, StoreError> {
    let mut stored = stored(&txn.profiles, login_id, txn.now)?;
    if let Some(claim) = stored.instead_of(ticket, cause, txn.now) {
        return Ok(claim);
    }
    stored.note = None;
    stored.load = Some(Kept {
        until: txn.now.plus(lease),
        value: ticket.0,
    });
    put(txn, &stored)?;
    Ok(LoadClaim::Granted)
}

fn end(
    txn: &mut Txn<'_>,
    login_id: &LoginId,
    ticket: LoadTicket,
    loaded: Loaded,
) -> Result<LoadEnd, StoreError> {
    let mut stored = stored(&txn.profiles, login_id, txn.now)?;
    if !stored.is_loaded_with(ticket) {
        return Ok(LoadEnd::Overtaken);
    }
    stored.load = None;
    let note = |value, told_for| {
        let until = txn.now.plus(told_for);
        Some(Kept { until, value })
    };
    let ended = match loaded {
        Loaded::Found(new) => LoadEnd::Kept(stored.keep(new, txn.now)),
        Loaded::Missing { told_for } => {
            stored.kept = None;
            stored.note = note(LoadNote::Missing, told_for);
            LoadEnd::Noted
        }
        Loaded::Failed { told_for } => {
            stored.note = note(LoadNote::Failed, told_for);
            LoadEnd::Noted
        }
    };
    put(txn, &stored)?;
    Ok(ended)
}

/// What is stored of a login, without what does not count any more.
fn stored(
    profiles: &impl ReadableTable<&'static Id, Bytes>,
    login_id: &LoginId,
    now: Timestamp,
) -> Result<StoredProfile, StoreError> {
    let found: Option<StoredProfile> = row(profiles.get(&login_key(login_id))?)?;
    let mut stored = found
        .filter(|stored| stored.login_id == *login_id)
        .unwrap_or_else(|| StoredProfile::nothing(login_id.clone()));
    stored.kept = stored.kept.filter(|kept| now < kept.until);
    stored.load = stored.load.filter(|load| now < load.until);
    stored.note = stored.note.filter(|note| now < note.until);
    Ok(stored)
}

/// Puts a record in the place of another, with the one entry in the purge index. One that says nothing goes.
fn put(txn: &mut Txn<'_>, stored: &StoredProfile) -> Result<(), StoreError> {
    let login = login_key(&stored.login_id);
    let before: Option<StoredProfile> = row(txn.profiles.get(&login)?)?;
    txn.writes();
    if let Some(until) = before.and_then(|before| before.until()) {
        let entry = (until.sort_key(), kind::PROFILE, login.as_slice());
        txn.purge.remove(entry)?;
    }
    let Some(until) = stored.until() else {
        txn.profiles.remove(&login)?;
        return Ok(());
    };
    let entry = (until.sort_key(), kind::PROFILE, login.as_slice());
    txn.purge.insert(entry, ())?;
    txn.profiles.insert(&login, encode(stored)?.as_slice())?;
    Ok(())
}

/// Removes a record of which nothing counts any more.
pub(super) fn forget(txn: &mut Txn<'_>, login: &Id) -> Result<(), StoreError> {
    let stored: Option<StoredProfile> = row(txn.profiles.get(login)?)?;
    let until = stored.and_then(|stored| stored.until());
    if until.is_some_and(|until| until <= txn.now) {
        txn.writes();
        txn.profiles.remove(login)?;
    }
    Ok(())
}

impl StoredProfile {
    fn nothing(login_id: LoginId) -> Self {
        Self {
            login_id,
            kept: None,
            load: None,
            note: None,
        }
    }

    fn keep(&mut self, new: NewProfile, now: Timestamp) -> Profile {
        let profile = Profile {
            details: new.details,
            ttl: new.ttl,
            expires_at: now.plus(new.ttl),
        };
        self.note = None;
        self.kept = Some(Kept {
            until: profile.expires_at.plus(new.stale_for),
            value: profile.clone(),
        });
        profile
    }

    /// What somebody who wants to load is told instead.
    fn instead_of(
        &self,
        ticket: LoadTicket,
        cause: LoadCause,
        now: Timestamp,
    ) -> Option<LoadClaim> {
        if cause == LoadCause::Refresh || self.is_loaded_with(ticket) {
            return None;
        }
        match (&self.kept, &self.note, &self.load) {
            (Some(kept), _, _) if now < kept.value.expires_at => {
                Some(LoadClaim::Kept(kept.value.clone()))
            }
            (_, Some(note), _) => Some(match note.value {
                LoadNote::Missing => LoadClaim::Missing,
                LoadNote::Failed => LoadClaim::Failed,
            }),
            (_, None, Some(_lease)) => Some(LoadClaim::Busy),
            (_, None, None) => None,
        }
    }

    fn is_loaded_with(&self, ticket: LoadTicket) -> bool {
        self.load
            .as_ref()
            .is_some_and(|load| load.value == ticket.0)
    }

    /// Until when anything of it counts.
    fn until(&self) -> Option<Timestamp> {
        let kept = self.kept.as_ref().map(|kept| kept.until);
        let load = self.load.as_ref().map(|load| load.until);
        let note = self.note.as_ref().map(|note| note.until);
        kept.max(load).max(note)
    }
}
