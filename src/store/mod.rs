//! The store contract: what every backend promises, whatever it is made of.
//!
//! Operations are cut by atomicity: each happens whole or not at all, together with the one event it appends to the
//! feed. A session that is over by age is never returned as live, whatever is still stored; what meets it first ends
//! it with the reason and moment of its expiry. Nothing brings an ended session back. Errors are the third answer:
//! after one, the caller knows nothing.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::Timestamp;
use crate::model::attribute::Attributes;
use crate::model::event::{Event, EventType};
use crate::model::login::{LoginId, LoginSummary};
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::{Permissions, Scope};
use crate::model::record::{SessionChange, SessionRecord};
use crate::model::service::{Service, ServiceId, ServiceName, ServiceRecord, ServiceUpdate};
use crate::model::session::{
    ConnectionId, ConnectionStats, Device, DeviceId, EndReason, ServerAddr, Session, SessionId,
    SessionState, StoredToken, Tombstone, UserAgent,
};
use crate::model::token::{CredentialHash, PresentedToken};

pub mod embedded;
mod error;
pub mod redis;
pub mod touches;

pub use error::{Cause, OpError, Refusal, StoreError};

/// One backend, seen through its four contracts.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Sessions, their attributes, their logins.
    pub sessions: Arc<dyn SessionStore>,
    /// Registered services.
    pub services: Arc<dyn ServiceStore>,
    /// The feed of events.
    pub events: Arc<dyn EventFeed>,
    /// Claims of idempotency keys.
    pub claims: Arc<dyn ClaimStore>,
}

/// Who acts, and how far they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The acting service.
    pub service_id: ServiceId,
    /// Sessions outside it look missing.
    pub scope: Scope,
}

/// The version a write expects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Whatever it is.
    #[default]
    None,
    /// One of these.
    Versions(Vec<u64>),
}

impl Precondition {
    /// Whether a session of this version may be written.
    #[must_use]
    pub fn allows(&self, version: u64) -> bool {
        match self {
            Self::None => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

/// Names one effect, so that repeating the operation with the same mark within 24 hours does nothing more and tells
/// what the first did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(pub [u8; 32]);

/// The session a write is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The session.
    pub session_id: SessionId,
    /// Who writes.
    pub access: Access,
    /// The version it must have.
    pub precondition: Precondition,
    /// Set when the write may be a repetition.
    pub mark: Option<Mark>,
}

/// How many live sessions a login may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimit {
    /// The most there may be after a create, the new one included.
    pub max: usize,
    /// What is counted.
    pub per: LimitPer,
    /// What happens to one too many.
    pub overflow: Overflow,
}

/// What a limit counts: always the sessions of all services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitPer {
    /// All sessions of the login.
    Login,
    /// Those on the same kind of device; sessions without one count together.
    Device,
}

/// What happens when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The sessions that were opened first end as `replaced`.
    EvictOldest,
    /// The sessions that were used least recently end as `replaced`.
    EvictLeastActive,
    /// The new session is refused.
    Refuse,
}

/// A session to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id, drawn by the caller.
    pub session_id: SessionId,
    /// Its credential.
    pub token: StoredToken,
    /// Whose it is.
    pub login_id: LoginId,
    /// The service that opens it.
    pub service_id: ServiceId,
    /// `active`, unless it is still `connecting`.
    pub state: SessionState,
    /// How long it lives without use.
    pub idle_timeout: Duration,
    /// How long it lives at most.
    pub max_age: Duration,
    /// How many sessions there may be.
    pub limit: Option<SessionLimit>,
    /// What is kept in it.
    pub attributes: Attributes,
    /// The kind of device.
    pub device: Option<Device>,
    /// Which device.
    pub device_id: Option<DeviceId>,
    /// Its live connection.
    pub connection_id: Option<ConnectionId>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The client's user agent.
    pub user_agent: Option<UserAgent>,
    /// The server that holds the connection.
    pub server_addr: Option<ServerAddr>,
    /// Set when the create may be a repetition.
    pub mark: Option<Mark>,
}

impl NewSession {
    /// The record of this session, opened at `now`.
    #[must_use]
    pub fn open(self, now: Timestamp) -> SessionRecord {
        let max_expires_at = now.plus(self.max_age);
        let idle_expires_at = now.plus(self.idle_timeout).min(max_expires_at);
        SessionRecord {
            session: Session {
                session_id: self.session_id,
                login_id: self.login_id,
                service_id: self.service_id,
                device: self.device,
                device_id: self.device_id,
                state: self.state,
                connection_id: self.connection_id,
                client_ip: self.client_ip,
                client_port: self.client_port,
                user_agent: self.user_agent,
                server_addr: self.server_addr,
                attributes: self.attributes,
                stats: None,
                version: 1,
                created_at: now,
                last_active_at: now,
                expires_at: idle_expires_at,
                idle_expires_at,
                max_expires_at,
            },
            idle_timeout: self.idle_timeout,
            token: self.token,
        }
    }
}

/// A session was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The session.
    pub session: Session,
    /// The sessions that ended to make room for it.
    pub evicted: Vec<SessionId>,
}

/// The three answers about a session; the third is the error beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It lives.
    Live(Box<T>),
    /// It is over, and this is why.
    Ended(Box<Tombstone>),
    /// It was never known, or its tombstone is gone.
    Unknown,
}

impl<T> Lookup<T> {
    /// The live one, or the fact that stands against it.
    pub fn live(self) -> Result<T, Refusal> {
        match self {
            Self::Live(found) => Ok(*found),
            Self::Ended(tombstone) => Err(Refusal::SessionEnded(tombstone)),
            Self::Unknown => Err(Refusal::SessionUnknown),
        }
    }
}

/// Whether asking for a session counts as use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It does.
    Yes,
    /// It leaves no trace.
    No,
}

/// A live session behind a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The session, with this use of it counted.
    pub session: Session,
    /// Until when the stored record lets it live; a touch that is still to be written may move it.
    pub stored_until: Timestamp,
}

/// A change was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The session after it.
    pub session: Session,
    /// Whether it added an attribute that was not there.
    pub inserted: bool,
}

/// The session is over: by this call, or before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndOutcome {
    /// This call ended it; the session as it was last, `closed`.
    Now(Box<Session>),
    /// It had ended already.
    Before(Box<Tombstone>),
}

/// Which sessions of a login are to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndAll {
    /// The login.
    pub login_id: LoginId,
    /// A session that stays.
    pub except: Option<SessionId>,
    /// Only those on this kind of device.
    pub device: Option<Device>,
    /// Why they end.
    pub reason: EndReason,
}

/// Which sessions to list; every condition must hold. Bounds in time are exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionFilter {
    /// Of this login.
    pub login_id: Option<LoginId>,
    /// Opened by this service.
    pub service_id: Option<ServiceId>,
    /// On this kind of device.
    pub device: Option<Device>,
    /// In this state, as shown.
    pub state: Option<SessionState>,
    /// With this connection.
    pub connection_id: Option<ConnectionId>,
    /// From this address.
    pub client_ip: Option<IpAddr>,
    /// Opened after this moment.
    pub created_after: Option<Timestamp>,
    /// Opened before this moment.
    pub created_before: Option<Timestamp>,
    /// Last used after this moment.
    pub active_after: Option<Timestamp>,
    /// Last used before this moment.
    pub active_before: Option<Timestamp>,
}

impl SessionFilter {
    /// Whether a session, as shown, is one of those asked for.
    #[must_use]
    pub fn matches(&self, session: &Session) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, value: Option<&T>) -> bool {
            wanted.is_none() || wanted == value
        }
        is(self.login_id.as_ref(), Some(&session.login_id))
            && is(self.service_id.as_ref(), Some(&session.service_id))
            && is(self.device.as_ref(), session.device.as_ref())
            && is(self.state.as_ref(), Some(&session.state))
            && is(self.connection_id.as_ref(), session.connection_id.as_ref())
            && is(self.client_ip.as_ref(), session.client_ip.as_ref())
            && self
                .created_after
                .is_none_or(|bound| session.created_at > bound)
            && self
                .created_before
                .is_none_or(|bound| session.created_at < bound)
            && self
                .active_after
                .is_none_or(|bound| session.last_active_at > bound)
            && self
                .active_before
                .is_none_or(|bound| session.last_active_at < bound)
    }
}

/// Sessions, together with their attributes and the index of their login: what must change together.
#[async_trait]
pub trait SessionStore: Debug + Send + Sync {
    /// The present moment by the store's clock, which judges every expiry.
    fn now(&self) -> Timestamp;

    /// Whether the store can be read and written right now.
    async fn check(&self) -> Result<(), StoreError>;

    /// Opens a session if its id and token are unused and the limit allows it, ending others to make room if the
    /// limit says so. Under any number of parallel creates the limit is exact; expired sessions do not count.
    async fn create(&self, new: NewSession) -> Result<Created, OpError>;

    /// Looks for a session by its id. Outside `scope` it is unknown.
    async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError>;

    /// Looks for the session behind a token; with [`Touch::Yes`] this counts as use. The use itself may be written
    /// a little later, unless the stored life of the session is short.
    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError>;

    /// Makes one change, merged with all others: the session's version grows by exactly 1, or nothing happens.
    async fn change(&self, target: Target, change: SessionChange) -> Result<Changed, OpError>;

    /// Moves the idle expiry to `ttl` (or the idle timeout) from now, never past the absolute one.
    async fn refresh(&self, target: Target, ttl: Option<Duration>) -> Result<Session, OpError>;

    /// Takes a sign of life: counts as use, makes the session active, keeps the counters.
    async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Session, OpError>;

    /// Ends a session for good and leaves its tombstone. Ending it again changes nothing and is no refusal, whatever
    /// version was expected.
    async fn end(&self, target: Target, reason: EndReason) -> Result<EndOutcome, OpError>;

    /// Ends the session behind a token as `logout`, if there is one in sight; it makes no difference to the caller.
    async fn revoke(&self, token: &PresentedToken, access: &Access) -> Result<(), StoreError>;

    /// Fixes a moment and ends what was created before it, in steps of at most 200, until none is left. Answers the
    /// sessions that this call ended.
    async fn end_all(&self, which: EndAll, access: &Access) -> Result<Vec<SessionId>, StoreError>;

    /// One page of live sessions, newest first by id. A page looks at no more than
    /// [`RECORDS_PER_PAGE`](crate::model::page::RECORDS_PER_PAGE) records, so it may be short and not the last.
    async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError>;

    /// The exact number of live sessions, of one login or of all.
    async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError>;

    /// What is known about a login.
    async fn login(&self, login_id: &LoginId) -> Result<LoginSummary, StoreError>;

    /// Does one bounded step of cleaning: ends what is expired at this moment, each session once on whatever node,
    /// and removes tombstones, events, marks and claims that have been kept long enough. Tells whether more is due.
    async fn sweep(&self) -> Result<bool, StoreError>;
}

/// A service to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewService {
    /// Its id.
    pub service_id: ServiceId,
    /// What people call it.
    pub service_name: ServiceName,
    /// What it may do.
    pub permissions: Permissions,
    /// SHA-256 of its secret.
    pub secret: CredentialHash,
    /// Set when the registration may be a repetition.
    pub mark: Option<Mark>,
}

/// Registered services. Each write appends its event in the same step.
#[async_trait]
pub trait ServiceStore: Debug + Send + Sync {
    /// Registers a service if its id is free. One with a mark may be a repetition: if the service there has the
    /// same secret, it is answered as it is.
    async fn register(&self, new: NewService, by: &ServiceId) -> Result<Service, OpError>;

    /// One service with the hashes of its secrets.
    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError>;

    /// One page of services in the order of their ids.
    async fn list_services(
        &self,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Service>, OpError>;

    /// Changes a service.
    async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &ServiceId,
    ) -> Result<Service, OpError>;

    /// Gives a service a new secret; the one before it stays good for `grace`, any older one does not. A repetition
    /// with the same secret changes nothing.
    async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &ServiceId,
    ) -> Result<Service, OpError>;

    /// Removes a service.
    async fn remove_service(&self, service_id: &ServiceId, by: &ServiceId) -> Result<(), OpError>;
}

/// A page of the feed, and the exact place after it. The place is there also when nothing follows yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in order for each login.
    pub events: Vec<Event>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether this was the end of the feed for now.
    pub caught_up: bool,
}

/// Where to read the feed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedPlace {
    /// The oldest event that is kept.
    Start,
    /// After an event, by its name. Events a little older may come again.
    AfterEvent(crate::model::event::EventId),
    /// An exact place that a page gave.
    At(Cursor),
}

/// The feed: every change, at least once, in order for each login.
#[async_trait]
pub trait EventFeed: Debug + Send + Sync {
    /// Events after a place, of the given types (empty: of all).
    async fn events(
        &self,
        from: &FeedPlace,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError>;
}

/// The hash under which a claim is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimKey(pub [u8; 32]);

/// What becomes of an idempotency key that somebody uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The caller goes ahead, with this draw: its own, or the one of an earlier attempt whose lease ran out.
    Granted {
        /// Encrypted randomness, as it was handed in first.
        sealed_draw: Vec<u8>,
    },
    /// Somebody else is at it.
    Busy,
    /// The key was used for another request.
    Reused,
    /// It is done, and this was the answer.
    Done {
        /// The encrypted answer, as it was handed in.
        sealed_answer: Vec<u8>,
    },
}

/// Claims of idempotency keys, kept for 24 hours.
#[async_trait]
pub trait ClaimStore: Debug + Send + Sync {
    /// Claims a key for a request with this fingerprint, under a lease of ten seconds.
    async fn claim(
        &self,
        key: ClaimKey,
        fingerprint: [u8; 32],
        sealed_draw: Vec<u8>,
    ) -> Result<Claim, StoreError>;

    /// Keeps the answer of a claimed request.
    async fn keep_answer(&self, key: ClaimKey, sealed_answer: Vec<u8>) -> Result<(), StoreError>;

    /// Gives a claim up, as if the key had never been used.
    async fn release(&self, key: ClaimKey) -> Result<(), StoreError>;
}
