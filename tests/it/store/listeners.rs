//! Listeners: told of every change soon after it happened, and of the moment up to which they know all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_gateway::model::event::Event;
use session_gateway::model::id::SessionId;
use session_gateway::model::permission::Permissions;
use session_gateway::model::quota::Quotas;
use session_gateway::model::service::{Manager, ServiceName};
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::services::NewService;
use session_gateway::store::{Listener, Origin, Partition, Partitions, Stores};
use tokio::time::Instant;

use super::backend::{Backend, HOUR, draft, login_id, service};

contract! {
    a_listener_is_told_of_every_change_in_order,
    what_is_said_to_be_heard_was_told,
    a_quiet_partition_is_heard_as_well,
}

/// Within which anything is told; generous, as the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// Keeps all it is told.
#[derive(Debug)]
pub(crate) struct Notebook {
    partitions: Partitions,
    events: Mutex<Vec<Event>>,
    gaps: Mutex<Vec<Partition>>,
}

impl Listener for Notebook {
    fn event(&self, event: &Event, _origin: Origin) {
        self.events.lock().unwrap().push(event.clone());
    }

    fn gap(&self, partition: Partition) {
        self.gaps.lock().unwrap().push(partition);
    }
}

impl Notebook {
    /// Listens to a store from when it hears everything.
    pub(crate) async fn of(stores: &Stores) -> Arc<Self> {
        let notebook = Arc::new(Self {
            partitions: stores.events.partitions(),
            events: Mutex::default(),
            gaps: Mutex::default(),
        });
        stores.events.listen(Arc::<Self>::clone(&notebook));
        all_heard_now(stores).await;
        notebook
    }

    /// The events of a partition so far.
    pub(crate) fn told(&self, partition: Partition) -> Vec<Event> {
        let events = self.events.lock().unwrap();
        let of = |event: &Event| self.partitions.of_fact(&event.fact);
        let own = events.iter().filter(|event| of(event) == partition);
        own.cloned().collect()
    }

    /// The sessions that were told of.
    pub(crate) fn sessions(&self) -> BTreeSet<SessionId> {
        let events = self.events.lock().unwrap();
        let sessions = events.iter().filter_map(|event| event.fact.session_id);
        sessions.collect()
    }

    pub(crate) fn gaps(&self) -> Vec<Partition> {
        self.gaps.lock().unwrap().clone()
    }
}

/// Waits until all that happened before this call is told.
pub(crate) async fn heard_now(stores: &Stores, partition: Partition) {
    heard(stores, partition, Instant::now()).await;
}

/// The same for all partitions.
pub(crate) async fn all_heard_now(stores: &Stores) {
    let moment = Instant::now();
    for partition in stores.events.partitions().all() {
        heard(stores, partition, moment).await;
    }
}

async fn heard(stores: &Stores, partition: Partition, moment: Instant) {
    while stores.events.watermark(partition) < Some(moment) {
        assert!(moment.elapsed() < DEADLINE, "{partition:?} is not heard");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Registers a service that may do nothing.
pub(crate) async fn register(stores: &Stores, id: &str) {
    let new = NewService {
        service_id: service(id),
        service_name: ServiceName::parse(id).unwrap(),
        permissions: Permissions::default(),
        session_limit: None,
        quotas: Quotas::default(),
        secret: CredentialHash::of(id.as_bytes()),
        operation_id: None,
    };
    let admin = Manager::admin();
    stores.services.register(new, &admin).await.unwrap();
}

async fn a_listener_is_told_of_every_change_in_order(b: &Backend) {
    let notebook = Notebook::of(&b.stores).await;
    for number in 0..20 {
        let id = b.open("alice").await.session_id;
        b.put(id, "number", &number.to_string()).await;
        b.end(id).await;
    }
    register(&b.stores, "new").await;
    let expired = b.open("bob").await.session_id;
    b.advance(24 * HOUR);
    b.sweep().await;
    let partitions = b.stores.events.partitions();
    let logins = ["alice", "bob"].map(|login| partitions.of_login(&login_id(login)));
    let feed = b.feed().await;
    assert_eq!(feed.len(), 63);
    assert_eq!(b.types(expired).await.len(), 2);
    for partition in [logins[0], logins[1], partitions.of_services()] {
        heard_now(&b.stores, partition).await;
        let of = |event: &Event| partitions.of_fact(&event.fact);
        let appended = feed.iter().filter(|event| of(event) == partition);
        let appended: Vec<Event> = appended.cloned().collect();
        assert_eq!(notebook.told(partition), appended);
    }
}

async fn what_is_said_to_be_heard_was_told(b: &Backend) {
    let notebook = Notebook::of(&b.stores).await;
    for number in 1..=8 {
        let new = draft(&format!("login {number}"));
        let partition = b.stores.events.partitions().of_login(&new.login_id);
        let session_id = b.create(new).await.session.session_id;
        heard_now(&b.stores, partition).await;
        let told = notebook.told(partition);
        assert_eq!(told.last().unwrap().fact.session_id, Some(session_id));
    }
}

async fn a_quiet_partition_is_heard_as_well(b: &Backend) {
    let partitions = b.stores.events.partitions();
    let last_of_logins = Partition(partitions.count().saturating_sub(2));
    for partition in [Partition(0), last_of_logins, partitions.of_services()] {
        heard_now(&b.stores, partition).await;
        heard_now(&b.stores, partition).await;
    }
}
