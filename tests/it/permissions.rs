//! Permissions are listed once: what tells of them tells of the same ones.

use serde_json::{Value, json};
use session_gateway::http::app::openapi_document;
use session_gateway::model::permission::Permission;

use crate::support::TestApp;

fn names() -> Vec<&'static str> {
    let all = Permission::ALL.iter().copied();
    all.map(Permission::as_str).collect()
}

#[test]
fn the_readme_has_each_permission_in_a_row() {
    let row = |permission: &Permission| {
        let own = if permission.can_be_own() { "yes" } else { "" };
        format!("| `{permission}` | {} | {own} |\n", permission.about())
    };
    let table: String = Permission::ALL.iter().map(row).collect();
    let head = "| permission | what it allows | `:own` |\n| --- | --- | --- |\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let wanted = format!("{head}{table}\n");
    assert!(readme.contains(&wanted), "the README lacks:\n{wanted}");
}

#[test]
fn the_document_names_each_permission_and_that_there_will_be_more() {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let schema = &document["components"]["schemas"]["Permission"];
    assert_eq!(schema["type"], "string");
    assert_eq!(schema["x-extensible-enum"], json!(names()));
    let about = schema["description"].as_str().unwrap();
    for permission in Permission::ALL {
        let row = format!("- `{permission}`: {}", permission.about());
        assert!(about.contains(&row), "{row} in {about}");
    }
}

#[tokio::test]
async fn whoever_asks_is_told_each_permission() {
    let listed = TestApp::new().admin().get("/v1/permissions").await;
    let listed = listed.value(200);
    let items = listed["items"].as_array().unwrap();
    let told: Vec<_> = items.iter().map(|item| &item["permission"]).collect();
    assert_eq!(json!(told), json!(names()));
}

#[tokio::test]
async fn who_gives_an_unknown_permission_is_told_those_there_are() {
    let app = TestApp::new();
    for unknown in ["session.fly", "token.verify:own", "message.send"] {
        let new = json!({"service_id": "shop", "service_name": "Shop", "permissions": [unknown]});
        let answer = app.admin().post("/v1/services").json(&new).await;
        let problem: Value = answer.problem(400, "invalid_request");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        for name in names() {
            assert!(detail.contains(name), "{name} in {detail}");
        }
        assert!(!detail.contains(unknown), "{detail}");
    }
}
