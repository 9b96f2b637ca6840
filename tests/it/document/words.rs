//! The words that the document names are those that go over the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use session_gateway::http::error::Code;
use session_gateway::model::event::{EventType, ServiceChange};
use session_gateway::model::forward_auth::{Check, TokenOutcome, TokenPlace};
use session_gateway::model::health::{HealthStatus, Risk};
use session_gateway::model::limit::{LimitPer, Overflow};
use session_gateway::model::permission::Permission;
use session_gateway::model::profile::RefreshOutcome;
use session_gateway::model::quota::Quota;
use session_gateway::model::session::{EndReason, FirstState, SessionState};

use super::{document, places};
use crate::support::{TestApp, open};

type Words = BTreeSet<String>;

/// What serde writes for each of these.
fn written<T: Serialize>(all: &[T]) -> Words {
    let text = |value: &T| serde_json::to_value(value).unwrap();
    all.iter()
        .map(|value| text(value).as_str().unwrap().to_owned())
        .collect()
}

/// What stands between backticks after `expected`.
fn expected(message: &str) -> Words {
    let (_, expected) = message.split_once("expected").unwrap_or(("", message));
    let words = expected.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

/// What serde reads, as it tells who writes something else.
fn read<T: DeserializeOwned + Debug>() -> Words {
    expected(&serde_json::from_str::<T>("\"?\"").unwrap_err().to_string())
}

/// What the document names under `key`, by the name of the schema.
fn documented(key: &str) -> BTreeMap<String, Words> {
    let texts = |words: &Value| serde_json::from_value(words.clone()).unwrap();
    let schemas = document()["components"]["schemas"].clone();
    let schemas = schemas.as_object().unwrap().iter();
    schemas
        .filter(|(_, schema)| !schema[key].is_null())
        .map(|(name, schema)| (name.clone(), texts(&schema[key])))
        .collect()
}

fn named<const N: usize>(words: [(&str, Words); N]) -> BTreeMap<String, Words> {
    let words = words.into_iter();
    words
        .map(|(name, words)| (name.to_owned(), words))
        .collect()
}

#[tokio::test]
async fn every_enum_of_the_document_has_the_words_of_the_wire() {
    let admin = TestApp::new().admin();
    let refusal = async |request: Value| {
        let explain = admin.post("/v1/auth/explain");
        let refused = explain.json(&request).await;
        let problem = refused.problem(400, "invalid_request");
        expected(problem["errors"][0]["detail"].as_str().unwrap())
    };
    let dialects = refusal(json!({"proxy": "?"})).await;
    let widenings = refusal(json!({"proxy": "nginx", "lets_pass": "?"})).await;
    let mut enums = documented("enum");
    // Its words are told in answers: see below.
    let outcomes = enums.remove("Outcome").unwrap();
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
    let of_serde = named([
        ("Check", written(&Check::ALL)),
        ("Dialect", dialects),
        ("FirstState", read::<FirstState>()),
        (
            "HealthStatus",
            written(&[
                HealthStatus::Alive,
                HealthStatus::Ready,
                HealthStatus::NotReady,
            ]),
        ),
        ("LimitPer", read::<LimitPer>()),
        ("Overflow", read::<Overflow>()),
        (
            "RefreshOutcome",
            written(&[
                RefreshOutcome::Loaded,
                RefreshOutcome::NotFound,
                RefreshOutcome::Failed,
            ]),
        ),
        ("SessionState", read::<SessionState>()),
        (
            "TokenOutcome",
            written(&[
                TokenOutcome::Counts,
                TokenOutcome::Lives,
                TokenOutcome::Ended,
                TokenOutcome::Unknown,
                TokenOutcome::Malformed,
                TokenOutcome::Undecided,
                TokenOutcome::NotReached,
            ]),
        ),
        (
            "TokenPlace",
            written(&[TokenPlace::Header, TokenPlace::Bearer, TokenPlace::Cookie]),
        ),
        ("Widening", widenings),
    ]);
    assert_eq!(enums, of_serde);
}

#[test]
fn every_list_of_words_that_grows_has_the_words_of_serde() {
    let permissions = Permission::ALL.iter().map(|permission| permission.as_str());
    let mut inactive = read::<EndReason>();
    inactive.insert("unknown_token".to_owned());
    let of_serde = named([
        ("Code", written(Code::ALL)),
        ("EndReason", read::<EndReason>()),
        ("EventType", written(EventType::ALL)),
        ("InactiveReason", inactive),
        ("Permission", permissions.map(str::to_owned).collect()),
        ("Quota", written(&Quota::ALL)),
        ("Risk", written(&Risk::ALL)),
        ("ServiceChange", read::<ServiceChange>()),
    ]);
    assert_eq!(documented("x-extensible-enum"), of_serde);
    assert_eq!(written(&EndReason::ALL), read::<EndReason>());
    assert_eq!(written(&ServiceChange::ALL), read::<ServiceChange>());
}

#[test]
fn words_stand_in_schemas_of_their_own() {
    for key in ["enum", "x-extensible-enum"] {
        for place in places(document(), key) {
            let depth = place.matches('/').count();
            let is_named = place.starts_with("/components/schemas/") && depth == 4;
            assert!(is_named, "{place}");
        }
    }
}

#[tokio::test]
async fn events_tokens_and_explanations_are_told_in_documented_words() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "ana"})).await;
    admin.delete(session.path()).await.expect(204);

    let events = admin.get("/v1/events").await.value(200);
    let types = &documented("x-extensible-enum")["EventType"];
    let told: Vec<_> = events["items"].as_array().unwrap().iter().collect();
    assert!(told.len() >= 2, "{events}");
    for event in told {
        assert!(types.contains(event["type"].as_str().unwrap()), "{event}");
    }

    let reasons = &documented("x-extensible-enum")["InactiveReason"];
    for token in [session.token.as_str(), "unknown"] {
        let call = admin.post("/v1/tokens/verify");
        let verified = call.json(&json!({"token": token})).await.value(200);
        let reason = verified["reason"].as_str().unwrap();
        assert!(reasons.contains(reason), "{reason}");
    }

    let outcomes = &documented("enum")["Outcome"];
    let request = json!({"proxy": "nginx", "token": session.token});
    let explained = admin.post("/v1/auth/explain").json(&request).await;
    for check in explained.value(200)["checks"].as_array().unwrap() {
        let outcome = check["outcome"].as_str().unwrap();
        assert!(outcomes.contains(outcome), "{outcome}");
    }
}
