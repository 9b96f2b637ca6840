//! Profiles of logins, and who loads them.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::id::LoginId;
use crate::model::profile::{Profile, UserDetails};

/// A profile to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProfile {
    /// What is known of the user.
    pub details: UserDetails,
    /// How long it is fresh, in whole seconds.
    pub ttl: Duration,
    /// How long it is kept after that, as stale.
    pub stale_for: Duration,
}

/// A profile as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundProfile {
    /// The profile.
    pub profile: Profile,
    /// Whether it has outlived its time.
    pub stale: bool,
}

/// Names one load of a profile: random, so that no two are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadTicket(pub [u8; 16]);

impl LoadTicket {
    /// The ticket of another load by the same caller.
    #[must_use]
    pub fn next(self) -> Self {
        Self(u128::from_be_bytes(self.0).wrapping_add(1).to_be_bytes())
    }
}

/// Why a profile is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadCause {
    /// There is no fresh one. Whoever loads it already loads it for all.
    Miss,
    /// Somebody knows that it has changed. A load that is under way may have begun before that, so it is overtaken.
    Refresh,
}

/// What becomes of somebody who wants to load a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadClaim {
    /// The caller loads it.
    Granted,
    /// Somebody else is at it.
    Busy,
    /// It is there, and fresh.
    Kept(Profile),
    /// A moment ago there was no such user.
    Missing,
    /// A moment ago it could not be loaded.
    Failed,
}

/// What a load came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// A profile.
    Found(NewProfile),
    /// There is no such user: what was kept goes.
    Missing {
        /// How long others who miss it are told so.
        told_for: Duration,
    },
    /// Nobody knows: what was kept stays.
    Failed {
        /// How long others who miss it are told so.
        told_for: Duration,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEnd {
    /// The profile is kept.
    Kept(Profile),
    /// That there is none is known to those who ask.
    Noted,
    /// The profile was written or removed meanwhile, somebody else loads it since, or the lease is over: nothing was
    /// changed.
    Overtaken,
}

/// Profiles of logins, each with the load of it that is under way. They are copies of what others know, so they tell
/// no events. Every operation is atomic, and time is the store's.
#[async_trait]
pub trait ProfileStore: Debug + Send + Sync {
    /// Puts a profile in the place of any there is. A load that is under way comes to nothing.
    async fn put_profile(&self, login_id: &LoginId, new: NewProfile)
    -> Result<Profile, StoreError>;

    /// The profile of a login as long as it is kept, fresh or stale.
    async fn find_profile(&self, login_id: &LoginId) -> Result<Option<FoundProfile>, StoreError>;

    /// Removes a profile, stale or not, and tells whether one was there. A load that is under way comes to nothing.
    async fn remove_profile(&self, login_id: &LoginId) -> Result<bool, StoreError>;

    /// Asks to load a profile. Who is granted that holds a lease, after which the next one may. The same ticket is
    /// granted again.
    async fn begin_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        cause: LoadCause,
        lease: Duration,
    ) -> Result<LoadClaim, StoreError>;

    /// Brings a load to its end, unless it was overtaken, which it is when its lease is over.
    async fn end_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        loaded: Loaded,
    ) -> Result<LoadEnd, StoreError>;
}
