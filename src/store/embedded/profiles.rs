//! Profiles of logins, and the loads of them.

use async_trait::async_trait;
use redb::ReadableTable;

use super::EmbeddedStore;
use super::record::encode;
use super::room::Purpose;
use super::rows::row;
use super::tables::{Bytes, Id, PROFILES, kind, login_key};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::rules::profiles::{ProfileRecord, ProfileRequest};
use crate::store::{ProfileFacts, ProfileStore, StoreError};

#[async_trait]
impl ProfileStore for EmbeddedStore {
    async fn load_profile(&self, login_id: &LoginId) -> Result<ProfileFacts, StoreError> {
        self.look(|shared| {
            let now = shared.now();
            let profiles = shared.read()?.open_table(PROFILES)?;
            load(&profiles, login_id, now)
        })
        .await
    }

    async fn write_profile(
        &self,
        login_id: &LoginId,
        request: ProfileRequest,
    ) -> Result<ProfileFacts, StoreError> {
        let login_id = login_id.clone();
        let purpose = match &request {
            ProfileRequest::Remove => Purpose::Release,
            ProfileRequest::Put(_)
            | ProfileRequest::BeginLoad { .. }
            | ProfileRequest::EndLoad { .. } => Purpose::Keep,
        };
        self.writer
            .write(purpose, move |txn| {
                let facts = load(&txn.profiles, &login_id, txn.now)?;
                if let Some(record) = request.decide(&facts.record, facts.now) {
                    put(txn, &record)?;
                }
                Ok(facts)
            })
            .await
    }
}

fn load(
    profiles: &impl ReadableTable<&'static Id, Bytes>,
    login_id: &LoginId,
    now: Timestamp,
) -> Result<ProfileFacts, StoreError> {
    let found: Option<ProfileRecord> = row(profiles.get(&login_key(login_id))?)?;
    let record = found
        .filter(|record| record.login_id == *login_id)
        .unwrap_or_else(|| ProfileRecord::nothing(login_id.clone()));
    let record = record.at(now);
    Ok(ProfileFacts { record, now })
}

/// Puts a record in the place of another, with the one entry in the purge index. One that says nothing goes.
pub(super) fn put(txn: &mut Txn<'_>, record: &ProfileRecord) -> Result<(), StoreError> {
    let login = login_key(&record.login_id);
    let before: Option<ProfileRecord> = row(txn.profiles.get(&login)?)?;
    txn.writes();
    if let Some(until) = before.and_then(|before| before.until()) {
        let entry = (until.sort_key(), kind::PROFILE, login.as_slice());
        txn.purge.remove(entry)?;
    }
    let Some(until) = record.until() else {
        txn.profiles.remove(&login)?;
        return Ok(());
    };
    let entry = (until.sort_key(), kind::PROFILE, login.as_slice());
    txn.purge.insert(entry, ())?;
    txn.profiles.insert(&login, encode(record)?.as_slice())?;
    Ok(())
}

/// Removes a record of which nothing counts any more.
pub(super) fn forget(txn: &mut Txn<'_>, login: &Id) -> Result<(), StoreError> {
    let record: Option<ProfileRecord> = row(txn.profiles.get(login)?)?;
    let until = record.and_then(|record| record.until());
    if until.is_some_and(|until| until <= txn.now) {
        txn.writes();
        txn.profiles.remove(login)?;
    }
    Ok(())
}
