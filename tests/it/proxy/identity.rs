//! What a proxy is told of the user: every header, always, whatever a session holds.

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{assert_allowed, gateway, proxy};
use crate::support::{Answer, TestApp, open};

async fn told(app: &TestApp, new: Value) -> Answer {
    let session = open(&app.admin(), new).await;
    let call = proxy(app).get("/auth/nginx");
    let answer = call.header("x-session-token", &session.token).await;
    assert_allowed(&answer, answer.header("x-auth-login-id"));
    answer
}

fn decoded(value: &str) -> String {
    percent_decode_str(value)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

/// Bytes of all identity headers as they stand on the wire.
fn bytes_on_the_wire(headers: &HeaderMap) -> usize {
    let ours = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-auth-"));
    ours.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum()
}

#[tokio::test]
async fn what_is_there_is_told_and_what_is_not_is_empty() {
    let app = gateway();
    let answer = told(&app, json!({"login_id": "ana"})).await;
    for name in [
        "device",
        "attr-role",
        "attr-plan",
        "attr-home-town",
        "omitted",
    ] {
        assert_eq!(answer.header(&format!("x-auth-{name}")), "");
    }
    let attributes =
        json!({"role": "admin", "plan": {"tier": [1, true]}, "home.town": null, "other": "x"});
    let new = json!({"login_id": "bea", "device": "web", "attributes": attributes});
    let answer = told(&app, new).await;
    assert_eq!(answer.header("x-auth-login-id"), "bea");
    assert_eq!(answer.header("x-auth-device"), "web");
    assert_eq!(answer.header("x-auth-attr-role"), "admin");
    assert_eq!(answer.header("x-auth-attr-plan"), r#"{"tier":[1,true]}"#);
    assert_eq!(answer.header("x-auth-attr-home-town"), "null");
    assert!(!answer.headers.contains_key("x-auth-attr-other"));
    let expires_at = json!(answer.header("x-auth-expires-at"));
    assert_eq!(app.seconds_until(&expires_at), 30 * 60);
}

#[tokio::test]
async fn every_character_arrives_as_visible_ascii_and_reads_back() {
    let app = gateway();
    let characters = (0..=0x2ff).chain([0xfffd, 0x1f600, 0x10_ffff]);
    let all: Vec<char> = characters.filter_map(char::from_u32).collect();
    for piece in all.chunks(90) {
        let text: String = piece.iter().collect();
        let attributes = json!({"role": text, "plan": [text]});
        let answer = told(&app, json!({"login_id": "ana", "attributes": attributes})).await;
        let role = answer.header("x-auth-attr-role");
        assert_eq!(decoded(role), text);
        let visible = |byte: u8| (0x21..=0x7e).contains(&byte);
        assert!(role.bytes().all(visible), "{role}");
        let plan: Value =
            serde_json::from_str(&decoded(answer.header("x-auth-attr-plan"))).unwrap();
        assert_eq!(plan, json!([text]));
    }
    let answer = told(
        &app,
        json!({"login_id": "a b%\u{fc}\"~!", "attributes": {"role": "a\r\nSet-Cookie: x=y"}}),
    )
    .await;
    assert_eq!(answer.header("x-auth-login-id"), "a%20b%25%C3%BC\"~!");
    assert_eq!(
        answer.header("x-auth-attr-role"),
        "a%0D%0ASet-Cookie:%20x=y"
    );
    assert!(!answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn a_value_that_is_too_long_is_left_out_and_named() {
    let app = gateway();
    for (length, fits) in [(1024, true), (1025, false), (20_000, false)] {
        let attributes = json!({"home.town": "x".repeat(length), "role": "admin"});
        let answer = told(&app, json!({"login_id": "ana", "attributes": attributes})).await;
        let (value, omitted) = if fits { (length, "") } else { (0, "home.town") };
        assert_eq!(answer.header("x-auth-attr-home-town").len(), value);
        assert_eq!(answer.header("x-auth-omitted"), omitted);
        assert_eq!(answer.header("x-auth-attr-role"), "admin");
    }
}

#[tokio::test]
async fn all_together_fit_into_the_buffer_of_a_proxy() {
    let app = gateway();
    let long = "\u{fc}".repeat(128);
    let attributes =
        json!({"role": "r".repeat(1000), "plan": "p".repeat(1000), "home.town": "h".repeat(1000)});
    let answer = told(&app, json!({"login_id": long, "attributes": attributes})).await;
    assert_eq!(decoded(answer.header("x-auth-login-id")), long);
    assert_eq!(answer.header("x-auth-attr-role").len(), 1000);
    assert_eq!(answer.header("x-auth-omitted"), "home.town");
    assert!(bytes_on_the_wire(&answer.headers) <= 3072);
}

#[tokio::test]
async fn the_longest_list_of_names_still_fits() {
    let names: Vec<String> = (0..24)
        .map(|number| format!("attribute_{number:02}"))
        .collect();
    let app = TestApp::with(&[
        ("SGW_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("SGW_EXPORT_ATTRIBUTES", &names.join(",")),
    ]);
    let attributes: Value = names
        .iter()
        .map(|name| (name.clone(), json!("x".repeat(600))))
        .collect();
    let session = open(
        &app.admin(),
        json!({"login_id": "ana", "attributes": attributes}),
    )
    .await;
    let call = proxy(&app).get("/auth/forward");
    let answer = call
        .header("x-session-token", &session.token)
        .await
        .expect(200);
    assert_eq!(answer.header("x-auth-attr-attribute-00").len(), 600);
    assert_eq!(answer.header("x-auth-attr-attribute-23"), "");
    assert!(answer.header("x-auth-omitted").ends_with(",attribute_23"));
    assert!(bytes_on_the_wire(&answer.headers) <= 3072);
}
