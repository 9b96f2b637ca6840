//! The cache over a store: what it answers by itself, and when it must ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_gateway::model::event::{EventType, FeedStart};
use session_gateway::model::page::PageLimit;
use session_gateway::model::permission::Permissions;
use session_gateway::model::quota::Quotas;
use session_gateway::model::request::{Access, Consistency, Touch};
use session_gateway::model::service::{Manager, ServiceName, ServiceUpdate};
use session_gateway::model::session::{EndDetail, EndReason};
use session_gateway::model::token::{CredentialHash, PresentedToken};
use session_gateway::rules::ban::NewBan;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::services::NewService;
use session_gateway::store::node::Handle;
use session_gateway::store::node::cache::CacheSettings;
use session_gateway::store::{
    EventFeed, FeedPage, Listener, OpError, Partition, Partitions, Stores,
};
use tokio::time::Instant;

use super::backend::{
    Backend, HOUR, IDLE, MILLISECOND, MINUTE, access, draft, draft_with_token, login_id, merge,
    presented, service, target,
};
use super::endings::Endings;
use super::rotation::{self, rotation};

const SETTINGS: CacheSettings = CacheSettings {
    max_staleness: Duration::from_secs(1),
    max_bytes: 1 << 20,
};

/// A feed whose channel the test cuts.
#[derive(Debug)]
struct Channel {
    feed: Handle<dyn EventFeed>,
    cut: AtomicBool,
    watermark: Mutex<Option<Instant>>,
}

#[async_trait]
impl EventFeed for Channel {
    async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        _heard: Option<Instant>,
    ) -> Result<FeedPage, OpError> {
        let events = self.feed.events(from, types, limit, Consistency::Now);
        events.await
    }

    fn partitions(&self) -> Partitions {
        self.feed.partitions()
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.feed.listen(listener);
    }

    fn watermark(&self, partition: Partition) -> Option<Instant> {
        if self.cut.load(Ordering::SeqCst) {
            *self.watermark.lock().unwrap()
        } else {
            self.feed.watermark(partition)
        }
    }
}

struct Node {
    backend: Backend,
    channel: Arc<Channel>,
    stores: Stores,
}

impl Node {
    fn start() -> Self {
        let backend = Backend::in_memory();
        let channel = Arc::new(Channel {
            feed: backend.stores.events.clone(),
            cut: AtomicBool::new(false),
            watermark: Mutex::new(None),
        });
        let stores = Stores {
            events: Handle::new(Arc::<Channel>::clone(&channel)),
            ..backend.stores.clone()
        };
        let stores = stores.cached(SETTINGS);
        Self {
            backend,
            channel,
            stores,
        }
    }

    /// Nothing has been heard since `ago`.
    fn cut(&self, ago: Duration) {
        *self.channel.watermark.lock().unwrap() = Instant::now().checked_sub(ago);
        self.channel.cut.store(true, Ordering::SeqCst);
    }

    /// Whether the node answers without its store.
    fn knows(&self, token: &PresentedToken) -> bool {
        self.stores.sessions.recall(token, Touch::Yes).is_some()
    }

    async fn verify(&self, token: &PresentedToken) -> bool {
        let freshness = Consistency::Bounded;
        let found = self.stores.find_by_token(token, Touch::Yes, freshness);
        matches!(found.await.unwrap(), Lookup::Live(_))
    }

    /// Opens a session and lets the node make a copy of it.
    async fn known(&self) -> PresentedToken {
        let new = draft("ana");
        let token = presented(&new);
        self.backend.create(new).await;
        assert!(self.verify(&token).await && self.knows(&token));
        token
    }
}

#[tokio::test]
async fn a_copy_tells_what_the_store_would_tell() {
    let node = Node::start();
    let token = node.known().await;
    node.backend.advance(MINUTE);
    let recalled = node.stores.sessions.recall(&token, Touch::Yes).unwrap();
    let found = node.backend.verified(&token).await;
    assert_eq!(recalled.stored_until, found.stored_until);
    let (recalled, found) = (recalled.into_session(), found.into_session());
    assert_eq!(recalled, found);
    assert_eq!(recalled.expires_at, node.backend.now().plus(IDLE));
}

#[tokio::test]
async fn what_happens_elsewhere_voids_the_copy() {
    let node = Node::start();
    let elsewhere = &node.backend.stores.sessions;
    let token = node.known().await;
    let session_id = token.session_id.unwrap();
    let change = elsewhere.change(target(session_id), merge(&[("color", "\"red\"")]));
    change.await.unwrap();
    assert!(!node.knows(&token));
    assert!(node.verify(&token).await && node.knows(&token));
    let rotated = elsewhere.rotate(rotation(session_id, &token, 1)).await;
    rotated.unwrap();
    assert!(!node.knows(&token));
    assert!(node.verify(&token).await && !node.knows(&token));
    // That its successor is used is written first.
    let token = rotation::token(session_id, 1);
    assert!(!node.knows(&token));
    assert!(node.verify(&token).await && node.knows(&token));
    let end = elsewhere.end(target(session_id), EndReason::Logout).await;
    end.unwrap();
    assert!(!node.knows(&token) && !node.verify(&token).await);
    assert!(!node.knows(&token));
}

#[tokio::test]
async fn what_the_node_does_itself_voids_the_copy_before_its_answer() {
    let node = Node::start();
    // Nothing is heard in time: the copy goes because of the write alone.
    node.cut(Duration::ZERO);
    let token = node.known().await;
    let own = &node.stores.sessions;
    let session_id = token.session_id.unwrap();
    own.change(target(session_id), merge(&[("color", "\"red\"")]))
        .await
        .unwrap();
    assert!(!node.knows(&token));
    assert!(node.verify(&token).await && node.knows(&token));
    own.refresh(target(session_id), Some(MINUTE)).await.unwrap();
    assert!(!node.knows(&token));
    assert!(node.verify(&token).await && node.knows(&token));
    own.heartbeat(target(session_id), None).await.unwrap();
    assert!(!node.knows(&token));
    assert!(node.verify(&token).await && node.knows(&token));
    own.rotate(rotation(session_id, &token, 1)).await.unwrap();
    assert!(!node.knows(&token) && !node.knows(&rotation::token(session_id, 1)));
    assert!(node.verify(&token).await);
    own.revoke(&token, &access()).await.unwrap();
    assert!(!node.knows(&token));
    let token = node.known().await;
    let all = EndAll {
        login_id: login_id("ana"),
        except: None,
        device: None,
        reason: EndReason::Logout,
        detail: None,
    };
    own.end_login(all, &access()).await.unwrap();
    assert!(!node.knows(&token));
}

#[tokio::test]
async fn without_proof_that_changes_are_heard_the_store_is_asked() {
    let node = Node::start();
    let token = node.known().await;
    node.cut(SETTINGS.max_staleness / 2);
    assert!(node.knows(&token));
    node.cut(SETTINGS.max_staleness + MILLISECOND);
    assert!(!node.knows(&token));
    *node.channel.watermark.lock().unwrap() = None;
    assert!(!node.knows(&token));
    assert!(node.verify(&token).await && !node.knows(&token));
    node.channel.cut.store(false, Ordering::SeqCst);
    assert!(node.knows(&token));
}

#[tokio::test]
async fn expiry_is_as_exact_as_without_a_copy() {
    let node = Node::start();
    let token = node.known().await;
    node.backend.advance(IDLE - MILLISECOND);
    let asked = node.stores.sessions.recall(&token, Touch::No);
    assert!(asked.is_some());
    node.backend.advance(MILLISECOND);
    assert!(!node.knows(&token) && !node.verify(&token).await);
}

#[tokio::test]
async fn uses_that_the_node_counts_keep_the_session_alive() {
    let node = Node::start();
    let token = node.known().await;
    for _ in 0..4 {
        node.backend.advance(IDLE - MINUTE);
        assert!(node.verify(&token).await);
    }
    node.backend.advance(IDLE);
    assert!(!node.verify(&token).await);
}

#[tokio::test]
async fn the_token_must_be_the_one_of_the_copy() {
    let node = Node::start();
    let token = node.known().await;
    let wrong = PresentedToken {
        hash: CredentialHash::of(b"another"),
        ..token
    };
    assert!(!node.knows(&wrong) && !node.verify(&wrong).await);
    assert!(node.knows(&token));
}

#[tokio::test]
async fn a_token_that_a_caller_brought_is_known_from_its_second_use() {
    let node = Node::start();
    let new = draft_with_token("ana", "a token of somebody else's making");
    let token = presented(&new);
    let session_id = new.session_id;
    node.backend.create(new).await;
    assert!(node.verify(&token).await && node.verify(&token).await);
    assert!(node.knows(&token));
    node.backend.end(session_id).await;
    assert!(!node.knows(&token) && !node.verify(&token).await);
}

#[tokio::test]
async fn no_cache_asks_the_store() {
    let node = Node::start();
    let token = node.known().await;
    node.backend.advance(HOUR);
    let found = node
        .stores
        .find_by_token(&token, Touch::No, Consistency::Now);
    assert!(matches!(found.await.unwrap(), Lookup::Ended(_)));
}

#[tokio::test]
async fn a_service_is_known_until_any_service_changes() {
    let node = Node::start();
    let services = &node.stores.services;
    let shop = service("shop");
    let new = NewService {
        service_id: shop.clone(),
        service_name: ServiceName::parse("Shop").unwrap(),
        permissions: Permissions::everything(),
        session_limit: None,
        quotas: Quotas::default(),
        secret: CredentialHash::of(b"secret"),
        operation_id: None,
    };
    services.register(new, &Manager::admin()).await.unwrap();
    assert!(services.recall_service(&shop).is_none());
    let found = services.find_service(&shop).await.unwrap().unwrap();
    assert_eq!(services.recall_service(&shop).as_deref(), Some(&found));
    let disable = ServiceUpdate {
        enabled: Some(false),
        ..ServiceUpdate::default()
    };
    let elsewhere = &node.backend.stores.services;
    elsewhere
        .update_service(&shop, disable, &Manager::admin())
        .await
        .unwrap();
    assert!(services.recall_service(&shop).is_none());
    services.find_service(&shop).await.unwrap();
    assert!(services.recall_service(&shop).is_some());
    node.cut(SETTINGS.max_staleness + MILLISECOND);
    assert!(services.recall_service(&shop).is_none());
}

#[tokio::test]
async fn an_ending_by_a_ban_elsewhere_voids_the_copies_of_all_that_are_marked() {
    let node = Node::start();
    let first = node.backend.open("ana").await;
    let token = node.known().await;
    let engine = node.backend.stores.sessions.clone().into_engine();
    let new = NewBan {
        login_id: login_id("ana"),
        until: None,
        reason: EndDetail::parse("spam").unwrap(),
    };
    let ban = engine.put_ban(new, &service("web")).await.unwrap();
    engine.mark_banned(&ban, None).await.unwrap();
    let batch = EndAll::banned_by(&ban).batch(Access::to_all(&ban.by));
    let ended = engine.end_batch(&batch, None, 1).await.unwrap();
    assert!(ended.next.is_some());
    node.backend.ended(first.session_id).await;
    assert!(!node.knows(&token) && !node.verify(&token).await);
}
