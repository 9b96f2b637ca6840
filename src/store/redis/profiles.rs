//! Profiles of logins, and the loads of them: written in the slot of the login's sessions.

use std::time::Duration;

use async_trait::async_trait;

use super::args::Args;
use super::keys::slot_of_login;
use super::link::{Effect, Script};
use super::reply::Reply;
use super::{RedisStore, scripts};
use crate::model::id::LoginId;
use crate::model::profile::{Profile, UserDetails};
use crate::store::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile, ProfileStore,
    StoreError,
};

/// What error messages call a profile.
const PROFILE: &str = "profile";

#[async_trait]
impl ProfileStore for RedisStore {
    async fn put_profile(
        &self,
        login_id: &LoginId,
        new: NewProfile,
    ) -> Result<Profile, StoreError> {
        let args = with_profile(Args::of_login(login_id), &new);
        let script = &scripts::PUT_PROFILE;
        let (word, mut reply) = self.ask(login_id, script, args, Effect::Once).await?;
        match word.as_str() {
            "kept" => read(&mut reply),
            word => Err(reply.unexpected(PROFILE, word)),
        }
    }

    async fn find_profile(&self, login_id: &LoginId) -> Result<Option<FoundProfile>, StoreError> {
        let args = Args::of_login(login_id);
        let script = &scripts::FIND_PROFILE;
        let (word, mut reply) = self.ask(login_id, script, args, Effect::Repeatable).await?;
        let stale = match word.as_str() {
            "fresh" => false,
            "stale" => true,
            "none" => return Ok(None),
            word => return Err(reply.unexpected(PROFILE, word)),
        };
        let profile = read(&mut reply)?;
        Ok(Some(FoundProfile { profile, stale }))
    }

    async fn remove_profile(&self, login_id: &LoginId) -> Result<bool, StoreError> {
        let args = Args::of_login(login_id);
        let script = &scripts::REMOVE_PROFILE;
        let (word, reply) = self.ask(login_id, script, args, Effect::Once).await?;
        match word.as_str() {
            "done" => Ok(true),
            "none" => Ok(false),
            word => Err(reply.unexpected(PROFILE, word)),
        }
    }

    async fn begin_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        cause: LoadCause,
        lease: Duration,
    ) -> Result<LoadClaim, StoreError> {
        let args = Args::of_login(login_id)
            .bytes(&ticket.0)
            .flag(cause == LoadCause::Refresh)
            .millis(lease);
        let script = &scripts::BEGIN_LOAD;
        let (word, mut reply) = self.ask(login_id, script, args, Effect::Repeatable).await?;
        match word.as_str() {
            "granted" => Ok(LoadClaim::Granted),
            "busy" => Ok(LoadClaim::Busy),
            "kept" => read(&mut reply).map(LoadClaim::Kept),
            "missing" => Ok(LoadClaim::Missing),
            "failed" => Ok(LoadClaim::Failed),
            word => Err(reply.unexpected(PROFILE, word)),
        }
    }

    async fn end_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        loaded: Loaded,
    ) -> Result<LoadEnd, StoreError> {
        let args = Args::of_login(login_id).bytes(&ticket.0);
        let args = match loaded {
            Loaded::Found(new) => with_profile(args.text("found"), &new),
            Loaded::Missing { told_for } => args.text("missing").millis(told_for),
            Loaded::Failed { told_for } => args.text("failed").millis(told_for),
        };
        let script = &scripts::END_LOAD;
        let (word, mut reply) = self.ask(login_id, script, args, Effect::Once).await?;
        match word.as_str() {
            "kept" => read(&mut reply).map(LoadEnd::Kept),
            "noted" => Ok(LoadEnd::Noted),
            "overtaken" => Ok(LoadEnd::Overtaken),
            word => Err(reply.unexpected(PROFILE, word)),
        }
    }
}

impl RedisStore {
    /// The first word of the answer, and the rest.
    async fn ask(
        &self,
        login_id: &LoginId,
        script: &Script,
        args: Args,
        effect: Effect,
    ) -> Result<(String, Reply), StoreError> {
        let slot = slot_of_login(login_id);
        let mut reply = self.client.run(slot, script, args, effect).await?;
        Ok((reply.text()?, reply))
    }
}

fn with_profile(args: Args, new: &NewProfile) -> Args {
    args.text(new.details.as_json())
        .millis(new.ttl)
        .millis(new.stale_for)
}

fn read(reply: &mut Reply) -> Result<Profile, StoreError> {
    Ok(Profile {
        details: UserDetails::parse(&reply.bytes()?).map_err(corrupt)?,
        ttl: Duration::from_millis(reply.number()?.try_into().map_err(corrupt)?),
        expires_at: reply.moment()?,
    })
}

fn corrupt(cause: impl Into<crate::store::Cause>) -> StoreError {
    StoreError::Corrupt {
        record: PROFILE,
        cause: cause.into(),
    }
}
