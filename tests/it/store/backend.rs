//! A backend under test, with a clock that tests move, and short ways to say what a case is about.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::audit;
use super::redis::{Keyspace, shared};
use session_gateway::clock::SettableClock;
use session_gateway::model::Timestamp;
use session_gateway::model::attribute::{AttributeName, AttributeValue, Attributes};
use session_gateway::model::event::{Change, Event, EventType, FeedStart};
use session_gateway::model::id::{LoginId, ServiceId, SessionId};
use session_gateway::model::page::PageLimit;
use session_gateway::model::permission::{Opener, Scope};
use session_gateway::model::record::SessionChange;
use session_gateway::model::request::{
    Access, Consistency, OperationId, Precondition, Target, Touch,
};
use session_gateway::model::session::{Device, EndReason, Ended, Session, SessionState};
use session_gateway::model::session_token::{StoredToken, TokenOrigin};
use session_gateway::model::token::{CredentialHash, PresentedToken};
use session_gateway::rules::create::{Created, NewSession};
use session_gateway::rules::end::EndOutcome;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::embedded::{EmbeddedSettings, EmbeddedStore};
use session_gateway::store::{OpError, Stores, Verified};
use tempfile::TempDir;
use tokio::task::JoinSet;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const IDLE: Duration = Duration::from_secs(30 * 60);
pub(crate) const MAX_AGE: Duration = Duration::from_secs(24 * 3_600);

pub(crate) const SETTINGS: EmbeddedSettings = EmbeddedSettings {
    idle_after: Duration::from_secs(5 * 60),
    tombstone_retention: HOUR,
    event_retention: Duration::from_secs(7 * 24 * 3_600),
    touch_interval: Duration::from_secs(10),
    reserve: Some(1 << 20),
};

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<SettableClock>,
    ground: Ground,
}

/// What the store stands on, as far as the test can look at it.
#[derive(Debug)]
enum Ground {
    Hidden,
    Dir(TempDir),
    Redis(Keyspace),
}

impl Backend {
    pub(crate) fn in_memory() -> Self {
        let clock = Arc::new(SettableClock::at(START));
        let stores = EmbeddedStore::in_memory(SETTINGS, Arc::<SettableClock>::clone(&clock));
        Self::over(stores.unwrap(), clock)
    }

    pub(crate) fn embedded() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(SettableClock::at(START));
        Self {
            stores: open_dir(dir.path(), &clock),
            clock,
            ground: Ground::Dir(dir),
        }
    }

    /// Over a server of its own.
    pub(crate) async fn redis() -> Self {
        Self::on(Keyspace::own().await).await
    }

    pub(crate) async fn redis_standalone() -> Self {
        Self::on(Keyspace::on(shared::standalone().await)).await
    }

    pub(crate) async fn redis_sentinel() -> Self {
        Self::on(Keyspace::on(shared::sentinel().await)).await
    }

    pub(crate) async fn redis_cluster() -> Self {
        Self::on(Keyspace::on(shared::cluster().await)).await
    }

    async fn on(keyspace: Keyspace) -> Self {
        let clock = Arc::new(SettableClock::at(START));
        Self {
            stores: keyspace.open_at(&clock).await,
            clock,
            ground: Ground::Redis(keyspace),
        }
    }

    pub(crate) fn over(stores: Stores, clock: Arc<SettableClock>) -> Self {
        Self {
            stores,
            clock,
            ground: Ground::Hidden,
        }
    }

    /// The keys of the store in Redis.
    pub(crate) fn keyspace(&self) -> &Keyspace {
        match &self.ground {
            Ground::Redis(keyspace) => keyspace,
            Ground::Hidden | Ground::Dir(_) => panic!("no Redis"),
        }
    }

    /// A connection of the test's own to the server below, which is its own too.
    pub(crate) fn redis_connection(&self) -> deadpool_redis::redis::Connection {
        self.keyspace().server().blocking_connection()
    }

    /// Closes the store and checks what it leaves behind, where that can be seen.
    pub(crate) async fn close(self) {
        drop(self.stores);
        match self.ground {
            Ground::Hidden => {}
            Ground::Dir(dir) => {
                let db = redb::Database::open(dir.path().join("sessions.redb")).unwrap();
                audit::check(&db);
            }
            Ground::Redis(keyspace) => keyspace.close().await,
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.stores.sessions.now()
    }

    pub(crate) async fn open(&self, login: &str) -> Session {
        self.create(draft(login)).await.session
    }

    pub(crate) async fn create(&self, new: NewSession) -> Created {
        self.stores.sessions.create(new).await.unwrap()
    }

    /// Opens many at once.
    pub(crate) async fn create_all(&self, drafts: impl IntoIterator<Item = NewSession>) {
        let mut creates = JoinSet::new();
        for new in drafts {
            let sessions = self.stores.sessions.clone();
            creates.spawn(async move { sessions.create(new).await });
        }
        for created in creates.join_all().await {
            created.unwrap();
        }
    }

    pub(crate) async fn refused(&self, new: NewSession) -> Refusal {
        refusal(self.stores.sessions.create(new).await)
    }

    pub(crate) async fn find(&self, session_id: SessionId) -> Lookup<Session> {
        let found = self.stores.sessions.find(session_id, &Scope::All).await;
        found.unwrap()
    }

    pub(crate) async fn live(&self, session_id: SessionId) -> Session {
        match self.find(session_id).await {
            Lookup::Live(session) => *session,
            other => panic!("{session_id} should be live, is {other:?}"),
        }
    }

    pub(crate) async fn ended(&self, session_id: SessionId) -> Ended {
        match self.find(session_id).await {
            Lookup::Ended(tombstone) => tombstone.ended,
            other => panic!("{session_id} should have ended, is {other:?}"),
        }
    }

    pub(crate) async fn verify(&self, token: &PresentedToken) -> Lookup<Verified> {
        let sessions = &self.stores.sessions;
        sessions.find_by_token(token, Touch::Yes).await.unwrap()
    }

    pub(crate) async fn verified(&self, token: &PresentedToken) -> Verified {
        match self.verify(token).await {
            Lookup::Live(verified) => *verified,
            other => panic!("the token should be good, is {other:?}"),
        }
    }

    pub(crate) async fn put(&self, session_id: SessionId, name: &str, json: &str) -> Session {
        let put = SessionChange::PutAttribute(attribute(name), value(json));
        let changed = self.stores.sessions.change(target(session_id), put).await;
        changed.unwrap().session
    }

    pub(crate) async fn increment(&self, target: Target, by: i64) -> Result<i64, OpError> {
        let name = attribute("counter");
        let change = SessionChange::IncrementAttribute(name.clone(), by);
        let changed = self.stores.sessions.change(target, change).await?;
        Ok(changed
            .session
            .attributes
            .get(&name)
            .unwrap()
            .as_i64()
            .unwrap())
    }

    pub(crate) async fn end(&self, session_id: SessionId) -> EndOutcome {
        let sessions = &self.stores.sessions;
        let ended = sessions.end(target(session_id), EndReason::Logout).await;
        ended.unwrap()
    }

    pub(crate) async fn sweep(&self) {
        while self.stores.sessions.sweep().await.unwrap() {}
    }

    pub(crate) async fn count(&self) -> u64 {
        self.stores.sessions.count(None).await.unwrap()
    }

    /// The whole feed.
    pub(crate) async fn feed(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut place = FeedStart::Start;
        loop {
            let limit = PageLimit::new(PageLimit::MAX).unwrap();
            let page = self
                .stores
                .events
                .events(&place, &[], limit, Consistency::Now);
            let page = page.await.unwrap();
            events.extend(page.events);
            if page.caught_up {
                return events;
            }
            place = FeedStart::At(page.next.cursor());
        }
    }

    /// What the feed tells of one session.
    pub(crate) async fn story(&self, session_id: SessionId) -> Vec<Change> {
        let feed = self.feed().await.into_iter().map(|event| event.fact);
        feed.filter(|fact| fact.session_id == Some(session_id))
            .map(|fact| fact.change)
            .collect()
    }

    pub(crate) async fn types(&self, session_id: SessionId) -> Vec<EventType> {
        let story = self.story(session_id).await;
        story.iter().map(Change::event_type).collect()
    }
}

pub(crate) fn open_dir(dir: &Path, clock: &Arc<SettableClock>) -> Stores {
    EmbeddedStore::open(dir, SETTINGS, Arc::<SettableClock>::clone(clock)).unwrap()
}

/// A session to be opened, with an id and a token that no other has.
pub(crate) fn draft(login: &str) -> NewSession {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number);
    let login_id = login_id(login);
    NewSession {
        session_id: SessionId::new(START, &login_id, random),
        token: StoredToken {
            hash: CredentialHash::of(&number),
            origin: TokenOrigin::Gateway,
        },
        login_id,
        service_id: service("api"),
        registration: None,
        state: SessionState::Active,
        idle_timeout: IDLE,
        max_age: MAX_AGE,
        limit: None,
        limit_scope: Scope::All,
        attributes: Attributes::default(),
        device: None,
        device_id: None,
        connection_id: None,
        client_ip: None,
        client_port: None,
        user_agent: None,
        server_addr: None,
        operation_id: None,
    }
}

/// The same with a token that the caller brought.
pub(crate) fn draft_with_token(login: &str, token: &str) -> NewSession {
    NewSession {
        token: StoredToken {
            hash: CredentialHash::of(token.as_bytes()),
            origin: TokenOrigin::Caller,
        },
        ..draft(login)
    }
}

/// The token of a session, as its user shows it.
pub(crate) fn presented(new: &NewSession) -> PresentedToken {
    PresentedToken {
        session_id: match new.token.origin {
            TokenOrigin::Gateway => Some(new.session_id),
            TokenOrigin::Caller => None,
        },
        hash: new.token.hash,
    }
}

pub(crate) fn access() -> Access {
    Access {
        service_id: service("web"),
        scope: Scope::All,
    }
}

/// What a service sees that is registered since ever.
pub(crate) fn opened_by(text: &str) -> Scope {
    Scope::OpenedBy(Opener {
        service_id: service(text),
        registered_at: Timestamp::from_millis(0),
    })
}

pub(crate) fn target(session_id: SessionId) -> Target {
    Target {
        session_id,
        access: access(),
        precondition: Precondition::None,
        operation_id: None,
    }
}

pub(crate) fn at_version(session_id: SessionId, version: u64) -> Target {
    Target {
        precondition: Precondition::Versions(vec![version]),
        ..target(session_id)
    }
}

pub(crate) fn merge(attributes: &[(&str, &str)]) -> SessionChange {
    let patch = attributes
        .iter()
        .map(|(name, json)| (attribute(name), value(json)));
    SessionChange::MergeAttributes(patch.collect())
}

pub(crate) fn login_id(text: &str) -> LoginId {
    LoginId::parse(text).unwrap()
}

pub(crate) fn service(text: &str) -> ServiceId {
    ServiceId::parse(text).unwrap()
}

pub(crate) fn device(text: &str) -> Device {
    Device::parse(text).unwrap()
}

pub(crate) fn attribute(text: &str) -> AttributeName {
    AttributeName::parse(text).unwrap()
}

pub(crate) fn value(json: &str) -> AttributeValue {
    AttributeValue::parse(json.as_bytes()).unwrap()
}

pub(crate) fn operation_id(byte: u8) -> OperationId {
    OperationId([byte; 32])
}

pub(crate) fn limit(items: usize) -> PageLimit {
    PageLimit::new(items).unwrap()
}

#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, OpError>) -> Refusal {
    match result {
        Err(OpError::Refused(refusal)) => refusal,
        other => panic!("should be refused, is {other:?}"),
    }
}

#[track_caller]
pub(crate) fn ended_refusal<T: std::fmt::Debug>(result: Result<T, OpError>) -> Ended {
    match refusal(result) {
        Refusal::SessionEnded(tombstone) => tombstone.ended,
        other => panic!("should be refused as ended, is {other:?}"),
    }
}
