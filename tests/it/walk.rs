//! Every operation of the document keeps the rules that hold for all: who may call it, and what a request may carry.

use axum::http::Method;
use serde_json::{Value, json};
use session_gateway::http::app::openapi_document;
use session_gateway::model::permission::Permission;

use crate::support::{Answer, Call, Client, TestApp, open};

/// One operation under `/v1`, as the document tells of it.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) document: Value,
}

pub(crate) fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap().clone();
    let of_path = |(path, item): (String, Value)| {
        let item = item.as_object().unwrap().clone();
        item.into_iter().map(move |(method, document)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            document,
        })
    };
    let found: Vec<_> = paths
        .into_iter()
        .filter(|(path, _)| path.starts_with("/v1/"))
        .flat_map(of_path)
        .collect();
    assert!(found.len() >= 7);
    found
}

impl Operation {
    pub(crate) fn name(&self) -> &str {
        self.document["operationId"].as_str().unwrap()
    }

    fn permission(&self) -> Option<&str> {
        self.document["x-permission"].as_str()
    }

    fn takes(&self, place: &str, name: &str) -> bool {
        let parameters = self.document["parameters"].as_array();
        parameters
            .into_iter()
            .flatten()
            .any(|parameter| parameter["in"] == place && parameter["name"] == name)
    }

    /// A call of it that no earlier rule than those of the walk stands against.
    fn call(&self, client: &Client, query: &str) -> Call {
        let path = self
            .path
            .replace("{session_id}", "0198c7a4-5f2e-7c31-9d20-6b1f0a52e37f")
            .replace(['{', '}'], "");
        let call = client.call(self.method.clone(), format!("{path}{query}"));
        if self.document["requestBody"].is_null() {
            call
        } else {
            call.json(&json!({}))
        }
    }
}

/// A service with all permissions but one, or with that one alone.
async fn with_permission(app: &TestApp, permission: &str, has_it: bool) -> Client {
    let grants = Permission::ALL.iter().map(|permission| permission.as_str());
    let grants: Vec<_> = grants
        .filter(|grant| (*grant == permission) == has_it)
        .collect();
    let id = format!("{permission}.{has_it}");
    app.service(&id, &grants).await
}

#[tokio::test]
async fn every_operation_asks_for_credentials() {
    let app = TestApp::new();
    for operation in operations() {
        let answer = operation.call(&app.nobody(), "").await;
        assert_eq!(answer.status, 401, "{}", operation.name());
    }
}

/// The permission table of the contract, row by row.
const PERMISSIONS: &[(&str, &str, Option<&str>)] = &[
    ("POST", "/v1/services", Some("service.manage")),
    ("GET", "/v1/services", Some("service.read")),
    ("GET", "/v1/services/{service_id}", Some("service.read")),
    ("PATCH", "/v1/services/{service_id}", Some("service.manage")),
    (
        "DELETE",
        "/v1/services/{service_id}",
        Some("service.manage"),
    ),
    (
        "POST",
        "/v1/services/{service_id}/rotate-secret",
        Some("service.manage"),
    ),
    ("GET", "/v1/services/{service_id}/usage", None),
    ("GET", "/v1/whoami", None),
    ("GET", "/v1/permissions", None),
    ("POST", "/v1/backups", None),
    ("POST", "/v1/sessions", Some("session.create")),
    ("GET", "/v1/sessions", Some("session.read")),
    ("POST", "/v1/sessions/bulk-delete", Some("session.delete")),
    ("GET", "/v1/sessions/{session_id}", Some("session.read")),
    ("PATCH", "/v1/sessions/{session_id}", Some("session.update")),
    (
        "DELETE",
        "/v1/sessions/{session_id}",
        Some("session.delete"),
    ),
    (
        "POST",
        "/v1/sessions/{session_id}/refresh",
        Some("session.update"),
    ),
    (
        "POST",
        "/v1/sessions/{session_id}/heartbeat",
        Some("session.update"),
    ),
    (
        "GET",
        "/v1/sessions/{session_id}/attributes",
        Some("attribute.read"),
    ),
    (
        "PATCH",
        "/v1/sessions/{session_id}/attributes",
        Some("attribute.write"),
    ),
    (
        "GET",
        "/v1/sessions/{session_id}/attributes/{name}",
        Some("attribute.read"),
    ),
    (
        "PUT",
        "/v1/sessions/{session_id}/attributes/{name}",
        Some("attribute.write"),
    ),
    (
        "DELETE",
        "/v1/sessions/{session_id}/attributes/{name}",
        Some("attribute.write"),
    ),
    (
        "POST",
        "/v1/sessions/{session_id}/attributes/{name}/increment",
        Some("attribute.write"),
    ),
    ("GET", "/v1/logins/{login_id}", Some("login.read")),
    (
        "GET",
        "/v1/logins/{login_id}/sessions",
        Some("session.read"),
    ),
    (
        "DELETE",
        "/v1/logins/{login_id}/sessions",
        Some("session.delete"),
    ),
    ("PUT", "/v1/logins/{login_id}/ban", Some("login.manage")),
    ("GET", "/v1/logins/{login_id}/ban", Some("login.manage")),
    ("DELETE", "/v1/logins/{login_id}/ban", Some("login.manage")),
    (
        "POST",
        "/v1/logins/{login_id}/kick-out",
        Some("login.manage"),
    ),
    ("PUT", "/v1/logins/{login_id}/profile", Some("login.manage")),
    ("GET", "/v1/logins/{login_id}/profile", Some("login.read")),
    (
        "DELETE",
        "/v1/logins/{login_id}/profile",
        Some("login.manage"),
    ),
    ("POST", "/v1/profiles/refresh", Some("login.manage")),
    ("POST", "/v1/tokens/verify", Some("token.verify")),
    ("POST", "/v1/tokens/introspect", Some("token.verify")),
    ("POST", "/v1/tokens/rotate", Some("session.update")),
    ("POST", "/v1/tokens/revoke", Some("session.delete")),
    ("POST", "/v1/auth/explain", Some("token.verify")),
    ("GET", "/v1/events", Some("event.read")),
];

#[tokio::test]
async fn every_operation_needs_the_permission_that_the_contract_says() {
    for operation in operations() {
        let row = PERMISSIONS
            .iter()
            .find(|(method, path, _)| *path == operation.path && operation.method == *method);
        let (_, _, permission) = row.unwrap_or_else(|| panic!("no row: {}", operation.name()));
        assert_eq!(operation.permission(), *permission, "{}", operation.name());
    }
}

#[tokio::test]
async fn every_operation_needs_its_own_permission_and_no_other() {
    for operation in operations() {
        let Some(permission) = operation.permission() else {
            continue;
        };
        let app = TestApp::new();
        let without = with_permission(&app, permission, false).await;
        let refused = operation.call(&without, "").await;
        assert_eq!(refused.status, 403, "{}", operation.name());
        let detail = refused.json()["detail"].to_string();
        assert!(
            detail.contains(permission),
            "{}: {detail}",
            operation.name()
        );
        let with = with_permission(&app, permission, true).await;
        let answer = operation.call(&with, "").await;
        let status = answer.status.as_u16();
        assert!(
            !matches!(status, 401 | 403 | 405 | 500..),
            "{}: {status}",
            operation.name()
        );
    }
}

/// What an answer says, but for the name of the request.
fn told(answer: &Answer) -> (u16, Value) {
    let mut told = answer.json();
    let problem = told.as_object_mut().unwrap();
    problem.retain(|name, _| name != "request_id" && name != "instance");
    (answer.status.as_u16(), told)
}

#[tokio::test]
async fn a_session_out_of_sight_looks_missing_to_every_operation() {
    let app = TestApp::new();
    let foreign = open(&app.admin(), json!({"login_id": "ana"})).await;
    let mut missing = 0;
    for operation in operations() {
        let Some(permission) = operation.permission() else {
            continue;
        };
        if !operation.path.contains("{session_id}") {
            continue;
        }
        let (name, own) = (operation.name(), format!("{permission}:own"));
        let service = app.service(name, &["session.create", &own]).await;
        let body = match name {
            "increment_attribute" => json!({"by": 1}),
            _ => json!({}),
        };
        let call = |session_id: &str| {
            let path = operation.path.replace("{session_id}", session_id);
            let path = path.replace(['{', '}'], "");
            let call = service.call(operation.method.clone(), path);
            if operation.document["requestBody"].is_null() {
                call
            } else {
                call.json(&body)
            }
        };
        let hidden = told(&call(&foreign.id).await);
        let none = told(&call("0198c7a4-5f2e-7c31-9d20-6b1f0a52e37f").await);
        assert_eq!(hidden, none, "{name}");
        assert_eq!(hidden.0, 404, "{name}: {hidden:?}");
        missing += 1;
    }
    assert!(missing >= 11, "{missing}");
    app.admin().get(foreign.path()).await.expect(200);
}

#[tokio::test]
async fn every_operation_refuses_query_parameters_it_does_not_know() {
    let app = TestApp::new();
    for operation in operations() {
        let answer = operation.call(&app.admin(), "?surprise=1").await;
        assert_eq!(answer.status, 400, "{}", operation.name());
        let detail = answer.json()["detail"].to_string();
        assert!(
            detail.contains("`surprise`"),
            "{}: {detail}",
            operation.name()
        );
    }
}

#[tokio::test]
async fn only_operations_that_declare_if_match_take_it() {
    let app = TestApp::new();
    for operation in operations() {
        if operation.takes("header", "If-Match") {
            continue;
        }
        let call = operation.call(&app.admin(), "");
        let answer = call.header("if-match", "\"1\"").await;
        assert_eq!(answer.status, 400, "{}", operation.name());
        let detail = answer.json()["detail"].to_string();
        assert!(
            detail.contains("If-Match"),
            "{}: {detail}",
            operation.name()
        );
    }
}

/// What repeating a POST with its key does, of all but those that pass the key over.
const IDEMPOTENCY: &[(&str, &str)] = &[
    ("register_service", "rebuilt"),
    ("rotate_service_secret", "rebuilt"),
    ("create_session", "rebuilt"),
    ("bulk_delete_sessions", "kept"),
    ("create_backup", "refused"),
    ("refresh_session", "rebuilt"),
    ("heartbeat_session", "kept"),
    ("increment_attribute", "kept"),
    ("kick_out_login", "kept"),
    ("refresh_profiles", "refused"),
    ("rotate_token", "rebuilt"),
    ("revoke_token", "kept"),
];

#[tokio::test]
async fn the_document_tells_what_repeating_a_post_does_and_malformed_keys_are_refused() {
    let app = TestApp::new();
    let mut kinds = Vec::new();
    for operation in operations() {
        let name = operation.name();
        let kind = operation.document["x-idempotency"].as_str();
        let takes = matches!(kind, Some("rebuilt" | "kept"));
        assert_eq!(
            operation.takes("header", "Idempotency-Key"),
            takes,
            "{name}"
        );
        let call = operation.call(&app.admin(), "");
        let answer = call.header("idempotency-key", "not one key").await;
        let told = answer.text().contains("Idempotency-Key");
        assert_eq!(told, kind.is_some(), "{name}: {}", answer.text());
        kinds.extend(kind.map(|kind| (name.to_owned(), kind.to_owned())));
    }
    let wanted = IDEMPOTENCY
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()));
    kinds.sort_unstable();
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort_unstable();
    assert_eq!(kinds, wanted);
}

#[tokio::test]
async fn no_operation_takes_an_array_for_an_object() {
    let app = TestApp::new();
    let admin = app.admin();
    for operation in operations() {
        let content = &operation.document["requestBody"]["content"];
        let schema = &content["application/json"]["schema"];
        let takes_any = schema["$ref"] == "#/components/schemas/AttributeValue";
        if schema.is_null() || takes_any {
            continue;
        }
        let answer = operation.call(&admin, "").json(&json!([])).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(
            problem["errors"][0]["detail"], "must be an object",
            "{problem}"
        );
    }
}

#[tokio::test]
async fn every_operation_documents_its_errors() {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let named = |response: &Value| match response["$ref"].as_str() {
        Some(place) => document
            .pointer(place.trim_start_matches('#'))
            .unwrap()
            .clone(),
        None => response.clone(),
    };
    for operation in operations() {
        let responses = &operation.document["responses"];
        for status in ["400", "401", "429", "500", "503"] {
            let response = named(&responses[status]);
            let content = &response["content"]["application/problem+json"];
            let reference = &content["schema"]["$ref"];
            assert_eq!(
                reference,
                "#/components/schemas/Problem",
                "{} {status}",
                operation.name()
            );
        }
        for (status, response) in responses.as_object().unwrap() {
            let told = named(response)["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty());
            assert!(told, "{} {status}", operation.name());
        }
        assert!(
            !operation.document["security"].is_null(),
            "{}",
            operation.name()
        );
    }
}
