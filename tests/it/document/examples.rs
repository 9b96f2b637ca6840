//! What the document gives as an example works as it stands.

use serde_json::{Value, json};

use super::document;
use crate::support::{Answer, Call, Client, TestApp, open};
use crate::walk::{Operation, operations};

/// An example of this schema: its own, or one of what it refers to.
pub(super) fn example(schema: &Value) -> Option<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        let place = reference.trim_start_matches('#');
        return example(document().pointer(place).unwrap());
    }
    let single = schema.get("example");
    single.or_else(|| schema["examples"].get(0)).cloned()
}

/// The types its body may have, with an example of each.
pub(super) fn bodies(operation: &Operation) -> Vec<(String, Value)> {
    let content = operation.document["requestBody"]["content"].as_object();
    let content = content.into_iter().flatten();
    let name = operation.name();
    content
        .map(|(kind, content)| {
            let body = example(&content["schema"]);
            (
                kind.clone(),
                body.unwrap_or_else(|| panic!("{name}: no example")),
            )
        })
        .collect()
}

/// A call with what the browser of the API fills in: all that has an example. Only ids and tokens of sessions, which the
/// gateway makes, are those of one that there is.
fn tried(operation: &Operation, client: &Client, session: (&str, &str)) -> Vec<Call> {
    let name = operation.name();
    let mut path = operation.path.replace("{session_id}", session.0);
    let mut query = Vec::new();
    let parameters = operation.document["parameters"].as_array();
    for parameter in parameters.into_iter().flatten() {
        let shown = example(&parameter["schema"]).or_else(|| parameter.get("example").cloned());
        let called = parameter["name"].as_str().unwrap();
        match (shown, parameter["in"].as_str().unwrap()) {
            (Some(text), "path") => {
                path = path.replace(&format!("{{{called}}}"), text.as_str().unwrap());
            }
            (Some(text), "query") => query.push((called, text.as_str().unwrap().to_owned())),
            (shown, _) => assert!(shown.is_none(), "{name}: {called}"),
        }
    }
    assert!(
        !path.contains('{'),
        "{name}: no example for a part of {path}"
    );
    let query = serde_urlencoded::to_string(query).unwrap();
    let call = client.call(operation.method.clone(), format!("{path}?{query}"));
    let bodies = bodies(operation).into_iter().map(|(kind, mut body)| {
        if body.get("token").is_some() {
            body["token"] = json!(session.1);
        }
        let text = if kind.contains("json") {
            body.to_string()
        } else {
            serde_urlencoded::to_string(body.as_object().unwrap()).unwrap()
        };
        call.clone().text(&kind, text)
    });
    let bodies: Vec<_> = bodies.collect();
    if bodies.is_empty() {
        vec![call]
    } else {
        bodies
    }
}

/// What the operations speak of is there, as the examples make it.
async fn world(app: &TestApp) -> (Client, String, String) {
    let admin = app.admin();
    let called = |name: &str| {
        let found = operations().into_iter().find(|each| each.name() == name);
        found.unwrap()
    };
    let body = |name: &str| bodies(&called(name)).remove(0).1;
    let service = admin.post("/v1/services").json(&body("register_service"));
    service.await.expect(201);
    let session = open(&admin, body("create_session")).await;
    for name in ["put_profile", "ban_login"] {
        let call = tried(&called(name), &admin, (&session.id, &session.token)).remove(0);
        call.await.expect(200);
    }
    admin.delete("/v1/logins/user123/ban").await.expect(204);
    let session = open(&admin, body("create_session")).await;
    (admin, session.id, session.token)
}

/// What no example could help.
fn is_excused(name: &str, answer: &Answer) -> bool {
    let excuses = [
        ("register_service", "service_exists"),
        ("create_backup", "backup_not_possible"),
        ("refresh_profiles", "loader_not_configured"),
    ];
    let code = answer.json()["code"].clone();
    excuses
        .iter()
        .any(|excuse| *excuse == (name, code.as_str().unwrap_or_default()))
}

#[tokio::test]
async fn every_example_works_as_it_stands() {
    for operation in operations() {
        let app = TestApp::new();
        let (admin, id, token) = world(&app).await;
        let name = operation.name();
        if matches!(name, "find_ban" | "unban_login") {
            let ban = json!({"reason": "a test"});
            admin
                .put("/v1/logins/user123/ban")
                .json(&ban)
                .await
                .expect(200);
        }
        for call in tried(&operation, &admin, (&id, &token)) {
            let answer = call.await;
            let works = answer.status.is_success() || is_excused(name, &answer);
            assert!(works, "{name}: {}", answer.text());
        }
    }
}
