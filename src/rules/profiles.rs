//! Profiles of logins: for how long one is fresh and kept, and who loads it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Kept;
use crate::model::Timestamp;
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

impl NewProfile {
    /// The profile that is put at a moment.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Profile {
        Profile {
            details: self.details.clone(),
            ttl: self.ttl,
            expires_at: now.plus(self.ttl),
        }
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a load without a profile came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadNote {
    /// There is no such user.
    Missing,
    /// Nobody knows.
    Failed,
}

/// The profile of a login, and the load of it. Stores may write it in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRecord {
    /// Whose it is.
    pub login_id: LoginId,
    /// The profile, fresh or stale.
    pub kept: Option<Kept<Profile>>,
    /// The ticket of the load that is under way, under its lease.
    pub load: Option<Kept<LoadTicket>>,
    /// What the last load came to, as long as that is told.
    pub note: Option<Kept<LoadNote>>,
}

impl ProfileRecord {
    /// Nothing is known of the login.
    #[must_use]
    pub fn nothing(login_id: LoginId) -> Self {
        Self {
            login_id,
            kept: None,
            load: None,
            note: None,
        }
    }

    /// What of it counts at a moment.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self {
            kept: self.kept.filter(|kept| now < kept.until),
            load: self.load.filter(|load| now < load.until),
            note: self.note.filter(|note| now < note.until),
            ..self
        }
    }

    /// Until when anything of it counts.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.ends().into_iter().flatten().max()
    }

    /// The next moment at which time alone changes what is decided.
    #[must_use]
    pub fn next_moment(&self, now: Timestamp) -> Option<Timestamp> {
        let expiry = self.kept.as_ref().map(|kept| kept.value.expires_at);
        let moments = self.ends().into_iter().chain([expiry]).flatten();
        moments.filter(|moment| now < *moment).min()
    }

    fn ends(&self) -> [Option<Timestamp>; 3] {
        [
            self.kept.as_ref().map(|kept| kept.until),
            self.load.as_ref().map(|load| load.until),
            self.note.as_ref().map(|note| note.until),
        ]
    }

    /// The profile, as long as it is kept.
    #[must_use]
    pub fn found(self, now: Timestamp) -> Option<FoundProfile> {
        let kept = self.kept?;
        Some(FoundProfile {
            stale: kept.value.expires_at <= now,
            profile: kept.value,
        })
    }

    fn is_loaded_with(&self, ticket: LoadTicket) -> bool {
        self.load.is_some_and(|load| load.value == ticket)
    }

    fn keep(self, new: &NewProfile, now: Timestamp) -> Self {
        let value = new.at(now);
        let until = value.expires_at.plus(new.stale_for);
        Self {
            kept: Some(Kept { until, value }),
            ..Self::nothing(self.login_id)
        }
    }
}

/// What is to become of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileRequest {
    /// It is put in the place of any there is. A load that is under way comes to nothing.
    Put(NewProfile),
    /// It goes. A load that is under way comes to nothing.
    Remove,
    /// Somebody wants to load it, under a lease.
    BeginLoad {
        /// Names the load.
        ticket: LoadTicket,
        /// Why.
        cause: LoadCause,
        /// How long others wait for it.
        lease: Duration,
    },
    /// A load has come to its end.
    EndLoad {
        /// Names the load.
        ticket: LoadTicket,
        /// What it came to.
        loaded: Loaded,
    },
}

impl ProfileRequest {
    /// What is to stand in the place of the record that is held, of which all must count at the moment; `None` leaves it.
    #[must_use]
    pub fn decide(&self, held: &ProfileRecord, now: Timestamp) -> Option<ProfileRecord> {
        match self {
            Self::Put(new) => Some(held.clone().keep(new, now)),
            Self::Remove => Some(ProfileRecord::nothing(held.login_id.clone())),
            Self::BeginLoad {
                ticket,
                cause,
                lease,
            } => match begin_load(held, *ticket, *cause, now) {
                LoadClaim::Granted => Some(ProfileRecord {
                    load: Some(Kept {
                        until: now.plus(*lease),
                        value: *ticket,
                    }),
                    note: None,
                    ..held.clone()
                }),
                LoadClaim::Busy | LoadClaim::Kept(_) | LoadClaim::Missing | LoadClaim::Failed => {
                    None
                }
            },
            Self::EndLoad { ticket, loaded } => held
                .is_loaded_with(*ticket)
                .then(|| ended(held.clone(), loaded, now)),
        }
    }
}

/// What becomes of somebody who wants to load a profile. The same ticket is granted again.
#[must_use]
pub fn begin_load(
    held: &ProfileRecord,
    ticket: LoadTicket,
    cause: LoadCause,
    now: Timestamp,
) -> LoadClaim {
    if cause == LoadCause::Refresh || held.is_loaded_with(ticket) {
        return LoadClaim::Granted;
    }
    match (&held.kept, &held.note, &held.load) {
        (Some(kept), _, _) if now < kept.value.expires_at => LoadClaim::Kept(kept.value.clone()),
        (_, Some(note), _) => match note.value {
            LoadNote::Missing => LoadClaim::Missing,
            LoadNote::Failed => LoadClaim::Failed,
        },
        (_, None, Some(_lease)) => LoadClaim::Busy,
        (_, None, None) => LoadClaim::Granted,
    }
}

/// What becomes of a load that has come to its end: it was overtaken unless its ticket and its lease still hold.
#[must_use]
pub fn end_load(
    held: &ProfileRecord,
    ticket: LoadTicket,
    loaded: &Loaded,
    now: Timestamp,
) -> LoadEnd {
    match loaded {
        _ if !held.is_loaded_with(ticket) => LoadEnd::Overtaken,
        Loaded::Found(new) => LoadEnd::Kept(new.at(now)),
        Loaded::Missing { .. } | Loaded::Failed { .. } => LoadEnd::Noted,
    }
}

fn ended(held: ProfileRecord, loaded: &Loaded, now: Timestamp) -> ProfileRecord {
    let (kept, told_for, value) = match loaded {
        Loaded::Found(new) => return held.keep(new, now),
        Loaded::Missing { told_for } => (None, *told_for, LoadNote::Missing),
        Loaded::Failed { told_for } => (held.kept, *told_for, LoadNote::Failed),
    };
    let until = now.plus(told_for);
    ProfileRecord {
        kept,
        note: Some(Kept { until, value }),
        ..ProfileRecord::nothing(held.login_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_769_846_400_000);
    const SECOND: Duration = Duration::from_secs(1);
    const OWN: LoadTicket = LoadTicket([1; 16]);

    fn nothing() -> ProfileRecord {
        ProfileRecord::nothing(LoginId::parse("ana").unwrap())
    }

    fn begin() -> ProfileRequest {
        ProfileRequest::BeginLoad {
            ticket: OWN,
            cause: LoadCause::Miss,
            lease: 10 * SECOND,
        }
    }

    fn end(loaded: Loaded) -> ProfileRequest {
        ProfileRequest::EndLoad {
            ticket: OWN,
            loaded,
        }
    }

    fn loaded() -> NewProfile {
        NewProfile {
            details: UserDetails::parse(b"{}").unwrap(),
            ttl: 5 * SECOND,
            stale_for: 10 * SECOND,
        }
    }

    /// Loaded at the start, and being loaded again since it is stale.
    fn stale_and_loaded() -> ProfileRecord {
        let loading = begin().decide(&nothing(), START).unwrap();
        let fresh = end(Loaded::Found(loaded())).decide(&loading, START);
        begin()
            .decide(&fresh.unwrap(), START.plus(6 * SECOND))
            .unwrap()
    }

    #[test]
    fn a_decision_holds_until_the_next_moment_that_a_record_names() {
        let record = stale_and_loaded();
        let [stale_at, gone_at, leased_until] = [5, 15, 16].map(|at| START.plus(at * SECOND));
        assert_eq!(record.next_moment(START), Some(stale_at));
        assert_eq!(record.next_moment(stale_at), Some(gone_at));
        assert_eq!(record.next_moment(gone_at), Some(leased_until));
        assert_eq!(record.next_moment(leased_until), None);
        assert_eq!(record.until(), Some(leased_until));
        assert_eq!(record.at(leased_until), nothing());
    }

    #[test]
    fn a_failed_load_leaves_what_is_kept_and_a_missing_user_does_not() {
        let (held, now) = (stale_and_loaded(), START.plus(7 * SECOND));
        let told_for = SECOND;
        let failed = end(Loaded::Failed { told_for }).decide(&held, now).unwrap();
        assert_eq!((failed.kept, failed.load), (held.kept.clone(), None));
        let missing = end(Loaded::Missing { told_for })
            .decide(&held, now)
            .unwrap();
        let note = Some(Kept {
            until: now.plus(SECOND),
            value: LoadNote::Missing,
        });
        assert_eq!(missing, ProfileRecord { note, ..nothing() });
    }

    #[test]
    fn a_load_without_its_lease_is_overtaken_and_writes_nothing() {
        let now = START.plus(16 * SECOND);
        let held = stale_and_loaded().at(now);
        assert_eq!(end(Loaded::Found(loaded())).decide(&held, now), None);
        let found = Loaded::Found(loaded());
        assert_eq!(end_load(&held, OWN, &found, now), LoadEnd::Overtaken);
    }
}
