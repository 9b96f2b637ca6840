//! Repetitions against a store that forgets nothing it was given.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use http_body_util::BodyExt;
use tower::ServiceExt;

use zeroize::Zeroizing;

use super::*;
use crate::clock::{Clock, SettableClock};
use crate::entropy::Entropy;
use crate::gateway::GatewayError;
use crate::gateway::idempotency::CallerKey;
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::model::permission::Permissions;
use crate::model::quota::Quotas;
use crate::model::service::{Service, ServiceName};
use crate::rules::idempotency::{self, Claim, IdempotencyRecord, LEASE};
use crate::store::node::Handle;
use crate::store::{IdempotencyRecordKey, IdempotencyStore, StoreError};

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Fault {
    lose_answers: bool,
}

struct MemoryIdempotencyStore {
    clock: SettableClock,
    records: Mutex<HashMap<IdempotencyRecordKey, IdempotencyRecord>>,
    seen: Mutex<Vec<u8>>,
    fault: Fault,
}

impl std::fmt::Debug for MemoryIdempotencyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryIdempotencyStore")
    }
}

#[async_trait]
impl IdempotencyStore for MemoryIdempotencyStore {
    async fn claim(
        &self,
        key: IdempotencyRecordKey,
        fingerprint: [u8; 32],
        sealed_entropy: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap();
        seen.extend(key.0.iter().chain(&fingerprint).chain(&sealed_entropy));
        let mut records = self.records.lock().unwrap();
        let held = records.get(&key).cloned();
        let (claim, record) = idempotency::claim(held, fingerprint, &sealed_entropy, now);
        records.extend(record.map(|record| (key, record)));
        Ok(claim)
    }

    fn may_keep_remains(&self) -> bool {
        true
    }

    async fn keep_answer(
        &self,
        key: IdempotencyRecordKey,
        sealed: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.seen.lock().unwrap().extend(&sealed);
        if self.fault.lose_answers {
            return Err(StoreError::TimedOut);
        }
        let mut records = self.records.lock().unwrap();
        let claimed = records.remove(&key).unwrap();
        records.insert(key, claimed.answered(sealed));
        Ok(())
    }

    async fn release(&self, key: IdempotencyRecordKey) -> Result<(), StoreError> {
        self.records.lock().unwrap().remove(&key);
        Ok(())
    }
}

/// A service that opens things: each run of its handler counts, and the answer holds what was drawn.
#[derive(Clone)]
struct Shop {
    records: Arc<MemoryIdempotencyStore>,
    runs: Arc<AtomicUsize>,
    secret: &'static str,
}

impl Shop {
    fn new() -> Self {
        Self::with(Fault::default())
    }

    fn with(fault: Fault) -> Self {
        let clock = SettableClock::at(Timestamp::from_millis(1_769_846_400_000));
        Self {
            records: Arc::new(MemoryIdempotencyStore {
                clock,
                records: Mutex::default(),
                seen: Mutex::default(),
                fault,
            }),
            runs: Arc::default(),
            secret: "the first secret of the shop",
        }
    }

    fn router(&self) -> Router {
        let opens = self.clone();
        let fails = self.clone();
        let shop = self.clone();
        let once = move |request: Request, next: Next| {
            let claimant = shop.claimant();
            async move {
                let key = key_of(request.headers())?.unwrap();
                run_once(claimant, &key, request, next).await
            }
        };
        Router::new()
            .route(
                "/things",
                post(move |entropy: Entropy| async move { opens.open(&entropy).await }),
            )
            .route(
                "/failures",
                post(move |body: String| async move { fails.fail(&body) }),
            )
            .layer(axum::middleware::from_fn(once))
    }

    fn service(&self) -> Service {
        let now = self.records.clock.now();
        Service {
            service_id: ServiceId::parse("shop").unwrap(),
            service_name: ServiceName::parse("Shop").unwrap(),
            permissions: Permissions::default(),
            enabled: true,
            created_at: now,
            updated_at: now,
            session_limit: None,
            quotas: Quotas::default(),
        }
    }

    fn claimant(&self) -> Claimant {
        Claimant {
            service: self.service(),
            quotas: Arc::default(),
            key: CallerKey::new(Zeroizing::new(self.secret.as_bytes().to_vec())),
            records: Handle::new(Arc::<MemoryIdempotencyStore>::clone(&self.records)),
            now: self.records.clock.now(),
            session_ids: Arc::default(),
        }
    }

    async fn open(&self, entropy: &Entropy) -> impl IntoResponse + use<> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let drawn = format!(
            "{:?} {:?}",
            *entropy.token().unwrap(),
            entropy.operation_id().unwrap()
        );
        let headers = [
            (header::LOCATION, "/things/1"),
            (header::ETAG, "\"1\""),
            (header::CONTENT_TYPE, "application/json"),
        ];
        (StatusCode::CREATED, headers, format!("canary {drawn}"))
    }

    fn fail(&self, how: &str) -> ApiError {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let store = |error: StoreError| GatewayError::from(error).into();
        match how {
            "conflict" => GatewayError::TokenInUse.into(),
            "overloaded" => store(StoreError::Overloaded),
            "timed out" => store(StoreError::TimedOut),
            other => panic!("{other}"),
        }
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    async fn post(&self, path: &str, key: &str, body: &'static str) -> Answer {
        let request = Request::post(path)
            .header("idempotency-key", key)
            .body(Body::from(body));
        let response = self.router().oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = |name: &header::HeaderName| {
            let value = parts.headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Answer {
            status: parts.status,
            headers: [header::LOCATION, header::ETAG, header::CONTENT_TYPE].map(|name| text(&name)),
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    headers: [Option<String>; 3],
    body: Vec<u8>,
}

#[tokio::test]
async fn a_repetition_gets_the_same_answer_and_has_no_effect() {
    let shop = Shop::new();
    let first = shop.post("/things", "k", "{}").await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert!(first.headers.iter().all(Option::is_some));
    assert_eq!(shop.post("/things", "\"k\"", "{}").await, first);
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn another_key_is_another_request() {
    let shop = Shop::new();
    let first = shop.post("/things", "k", "{}").await;
    assert_ne!(shop.post("/things", "l", "{}").await.body, first.body);
    assert_eq!(shop.runs(), 2);
}

#[tokio::test]
async fn another_body_is_refused() {
    let shop = Shop::new();
    shop.post("/things", "k", "{}").await;
    let other = shop.post("/things", "k", "{ }").await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn parallel_repetitions_wait_for_the_one_that_runs() {
    let shop = Shop::new();
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let shop = shop.clone();
        posts.spawn(async move { shop.post("/things", "k", "{}").await });
    }
    let answers = posts.join_all().await;
    assert_eq!(answers[0].status, StatusCode::CREATED);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_made_again_from_the_same_draw() {
    let shop = Shop::with(Fault { lose_answers: true });
    let first = shop.post("/things", "k", "{}").await;
    shop.records.clock.advance(LEASE);
    assert_eq!(shop.post("/things", "k", "{}").await, first);
    assert_eq!(shop.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_longer_than_a_lease_is_told_that_the_gateway_is_busy() {
    let shop = Shop::with(Fault { lose_answers: true });
    shop.post("/things", "k", "{}").await;
    let waited = shop.post("/things", "k", "{}").await;
    assert_eq!(waited.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn failures_without_effect_are_not_kept() {
    let shop = Shop::new();
    for how in ["conflict", "overloaded"] {
        shop.post("/failures", "k", how).await;
        assert!(shop.records.records.lock().unwrap().is_empty(), "{how}");
    }
    assert_eq!(shop.runs(), 2);
}

#[tokio::test]
async fn a_failure_that_may_have_had_an_effect_keeps_its_draw() {
    let shop = Shop::new();
    for how in ["timed out", "a panic"] {
        let answer = shop
            .post("/failures", how.split(' ').next().unwrap(), how)
            .await;
        assert!(answer.status.is_server_error(), "{how}");
    }
    assert_eq!(shop.records.records.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn after_a_rotation_of_the_secret_a_repetition_is_refused() {
    let mut shop = Shop::new();
    shop.post("/things", "k", "{}").await;
    shop.secret = "the second secret of the shop";
    let repeated = shop.post("/things", "k", "{}").await;
    assert_eq!(repeated.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn the_claim_store_sees_neither_the_key_nor_the_answer() {
    let shop = Shop::new();
    shop.post("/things", "the-idempotency-key", "{}").await;
    let seen = shop.records.seen.lock().unwrap();
    assert!(seen.len() > 100);
    for canary in [&b"canary"[..], b"the-idempotency-key", b"things", b"secret"] {
        let found = seen.windows(canary.len()).any(|window| window == canary);
        assert!(!found, "{}", String::from_utf8_lossy(canary));
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_its_request() {
    let shop = Shop::new();
    let first = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.post("/things", "k", "{}").await })
    };
    while shop.runs() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let repeated = shop.post("/things", "k", "{}").await;
    assert_eq!(repeated.status, StatusCode::CREATED);
    assert_eq!(shop.runs(), 1);
}
