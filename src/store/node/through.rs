//! What a handle lets through to its engine, and nothing is to be done beside it on this node but to take the time of
//! what is timed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Handle;
use super::observer::Observer;
use super::operations::Operation;
use crate::model::Timestamp;
use crate::model::event::{EventType, FeedStart};
use crate::model::filter::SessionFilter;
use crate::model::health::StoreHealth;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::keyring::{KeyPurpose, Keyring, OfferedKey};
use crate::model::login::Ban;
use crate::model::owner::Owner;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::Scope;
use crate::model::request::Consistency;
use crate::model::session::Session;
use crate::model::token::PresentedToken;
use crate::rules::entry::Lookup;
use crate::rules::idempotency::Claim;
use crate::store::{
    EventFeed, FeedPage, IdempotencyRecordKey, IdempotencyStore, KeyringStore, Listener, OpError,
    Partition, Partitions, SessionCounts, SessionStore, Stats, StoreError, StoreStats,
    ThrottleStore,
};

/// Makes methods of a handle out of those of its contract that have the same names.
macro_rules! through {
    ($($contract:ident {
        $($(#[$attribute:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*
    })+) => { $(
        impl Handle<dyn $contract> { $(
            $(#[$attribute])*
            pub fn $name(&self, $($arg: $type),*) $(-> $result)? {
                self.engine().$name($($arg),*)
            }
        )* }
    )+ };
}

/// The same for operations, each of which is timed.
macro_rules! timed {
    ($($contract:ident {
        $(
            $(#[$attribute:meta])*
            $operation:ident: fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;
        )*
    })+) => { $(
        impl Handle<dyn $contract> { $(
            $(#[$attribute])*
            pub async fn $name(&self, $($arg: $type),*) -> $result {
                self.timed(Operation::$operation, self.engine().$name($($arg),*)).await
            }
        )* }
    )+ };
}

through! {
    SessionStore {
        /// The present moment by the store's clock: [`SessionStore::now`].
        #[must_use]
        fn now() -> Timestamp;
    }
    IdempotencyStore {
        /// Whether what remains of an answer may be kept: [`IdempotencyStore::may_keep_remains`].
        #[must_use]
        fn may_keep_remains() -> bool;
    }
    EventFeed {
        /// How the feed is cut.
        #[must_use]
        fn partitions() -> Partitions;
        /// Tells a listener of every change from now on: [`EventFeed::listen`].
        fn listen(listener: Arc<dyn Listener>);
        /// Up to when every change in a partition was heard of: [`EventFeed::watermark`].
        #[must_use]
        fn watermark(partition: Partition) -> Option<Instant>;
    }
}

timed! {
    SessionStore {
        /// How the store is: [`SessionStore::check`].
        Check: fn check() -> Result<StoreHealth, StoreError>;
        /// Looks for a session by its id: [`SessionStore::find`].
        Find: fn find(session_id: SessionId, scope: &Scope) -> Result<Lookup<Session>, StoreError>;
        /// Where a token leads: [`SessionStore::session_of`].
        SessionOf: fn session_of(token: &PresentedToken) -> Result<Option<SessionId>, StoreError>;
        /// The ban of a login that is in force.
        FindBan: fn find_ban(login_id: &LoginId) -> Result<Option<Ban>, StoreError>;
        /// Lifts the ban of a login that is in force.
        Unban: fn unban(login_id: &LoginId, by: &ServiceId) -> Result<(), OpError>;
        /// One page of live sessions: [`SessionStore::list`].
        List: fn list(
            filter: &SessionFilter,
            scope: &Scope,
            limit: PageLimit,
            cursor: Option<&Cursor>
        ) -> Result<Page<Session>, OpError>;
        /// One bounded step of cleaning: [`SessionStore::sweep`].
        Sweep: fn sweep() -> Result<bool, StoreError>;
    }
    IdempotencyStore {
        /// Claims a key: [`IdempotencyStore::claim`].
        Claim: fn claim(
            key: IdempotencyRecordKey,
            fingerprint: [u8; 32],
            sealed_entropy: Vec<u8>
        ) -> Result<Claim, StoreError>;
        /// Keeps the answer of a claimed request.
        KeepAnswer: fn keep_answer(
            key: IdempotencyRecordKey,
            sealed_answer: Vec<u8>
        ) -> Result<(), StoreError>;
        /// Gives a claim up, as if the key had never been used.
        Release: fn release(key: IdempotencyRecordKey) -> Result<(), StoreError>;
    }
    KeyringStore {
        /// The ring for a purpose: [`KeyringStore::keyring`].
        Keyring: fn keyring(purpose: KeyPurpose, offered: OfferedKey) -> Result<Keyring, StoreError>;
    }
    ThrottleStore {
        /// Slows networks down: [`ThrottleStore::throttle`].
        Throttle: fn throttle(networks: &[(IpAddr, Duration)]) -> Result<(), StoreError>;
        /// For how much longer a network is slowed down.
        FindThrottle: fn throttled(network: IpAddr) -> Result<Option<Duration>, StoreError>;
    }
    StoreStats {
        /// Counts the sessions that live now: [`StoreStats::session_counts`].
        SessionCounts: fn session_counts() -> Result<SessionCounts, StoreError>;
        /// How many sessions each registration of a service has: [`StoreStats::owned`].
        Owned: fn owned() -> Result<HashMap<Owner, u64>, StoreError>;
    }
}

impl Handle<dyn EventFeed> {
    /// Events after a position, of the given types (empty: of all). If what the node knows will do, the store is asked only
    /// where something follows, or nobody can say whether it does.
    pub async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        consistency: Consistency,
    ) -> Result<FeedPage, OpError> {
        let heard = match (consistency, &self.cache) {
            (Consistency::Bounded, Some(cache)) => cache.oldest_proof(),
            (Consistency::Bounded, None) | (Consistency::Now, _) => None,
        };
        self.events_heard(from, types, limit, heard).await
    }

    /// The same for who hears whatever was not heard up to a moment when it is: [`EventFeed::events`].
    pub(super) async fn events_heard(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        heard: Option<Instant>,
    ) -> Result<FeedPage, OpError> {
        let events = self.engine().events(from, types, limit, heard);
        self.timed(Operation::Events, events).await
    }
}

impl Handle<dyn StoreStats> {
    /// What this node sees, from memory.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let operations = self.observer.as_ref().map(Observer::stats);
        Stats {
            operations: operations.unwrap_or_default(),
            cache: self.cache.as_ref().map(|cache| cache.stats()),
            ..self.engine().stats()
        }
    }
}
