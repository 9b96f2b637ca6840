//! What is told of a wrong request: which part of it, what is allowed, and where in a body; never the value.

use serde_json::{Value, json};

use crate::support::TestApp;

#[tokio::test]
async fn a_wrong_parameter_is_named_with_what_it_may_be() {
    let admin = TestApp::new().admin();
    let states = "`connecting`, `active`, `idle`, `disconnecting`, `closed`";
    let types = "`session.created`, `session.changed`, `session.rotated`, `session.ended`, `login.banned`, \
                 `login.unbanned`, `service.changed`";
    for (path, detail) in [
        (
            "/v1/sessions?state=secret",
            format!("`state` must be one of {states}"),
        ),
        (
            "/v1/sessions?total=secret",
            "`total` must be true or false".to_owned(),
        ),
        (
            "/v1/sessions?client_ip=secret",
            "`client_ip` must be an IP address".to_owned(),
        ),
        (
            "/v1/sessions?login_id=",
            "`login_id` must not be empty".to_owned(),
        ),
        (
            "/v1/sessions?created_after=secret",
            "`created_after` is not an RFC 3339 date and time".to_owned(),
        ),
        (
            "/v1/sessions?limit=secret",
            "`limit` must be a number from 1 to 1000".to_owned(),
        ),
        (
            "/v1/sessions?limit=1001",
            "`limit` must be a number from 1 to 1000".to_owned(),
        ),
        (
            "/v1/sessions?cursor=secret%21",
            "`cursor` is not one of this list".to_owned(),
        ),
        (
            "/v1/events?types=secret",
            format!("`types` must be some of {types}, with commas between"),
        ),
        (
            "/v1/logins/.%2e",
            "`login_id` must not be `.` or `..`".to_owned(),
        ),
    ] {
        let problem = admin.get(path).await.problem(400, "invalid_request");
        assert_eq!(problem["detail"], detail, "{path}");
    }
}

/// What is told of a body that is sent to open a session.
async fn told(body: &str) -> Value {
    let call = TestApp::new().admin().post("/v1/sessions");
    let answer = call.text("application/json", body.to_owned()).await;
    answer.problem(400, "invalid_request")
}

#[tokio::test]
async fn a_wrong_place_in_a_body_has_a_line_and_a_column() {
    for (body, pointer, line, column, detail) in [
        (
            "{\n  \"login_id\": \"ana\",\n  \"client_port\": 65536\n}",
            "/client_port",
            3,
            18,
            "must be a whole number from 0 to 65535",
        ),
        (
            "{\"login_id\": \"ana\",\n \"limit\": {\"max\": 1, \"per\": \"secret\"}}",
            "/limit/per",
            2,
            29,
            "must be `login` or `device`",
        ),
        (
            "{\"login_id\": \"ana\",\n \"client_ip\": \"secret\"}",
            "/client_ip",
            2,
            15,
            "must be an IP address",
        ),
        (" {\"device\": \"web\"}", "", 1, 2, "`login_id` is missing"),
        ("\n[]", "", 2, 1, "must be an object"),
        (
            "{\"login_id\": \"ana\",\n \"device\" \"secret\"}",
            "",
            2,
            11,
            "is not valid JSON: expected `:`",
        ),
        (
            "{\"login_id\": \"ana\",\n",
            "",
            2,
            1,
            "is not valid JSON: ends within an object",
        ),
    ] {
        let problem = told(body).await;
        let error = &problem["errors"][0];
        assert_eq!(error["pointer"], pointer, "{body}: {problem}");
        assert_eq!(error["detail"], detail, "{body}");
        assert_eq!(
            error["place"],
            json!({"line": line, "column": column}),
            "{body}"
        );
        let whole = problem["detail"].as_str().unwrap();
        let place = format!("(line {line}, column {column}): {detail}");
        assert!(whole.ends_with(&place), "{whole}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}

#[tokio::test]
async fn an_escape_that_is_no_character_has_a_place_too() {
    let problem = told("{\"login_id\":\n\"\\ud800\"}").await;
    let error = &problem["errors"][0];
    assert_eq!(error["place"]["line"], 2, "{problem}");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.starts_with("is not valid JSON: "), "{detail}");
}

#[tokio::test]
async fn a_form_without_a_token_or_with_two_is_told_so() {
    let admin = TestApp::new().admin();
    for (form, detail) in [
        ("", "`token` is missing"),
        ("token=a&token=b", "`token` may be given only once"),
    ] {
        let call = admin.post("/v1/tokens/introspect");
        let answer = call.text("application/x-www-form-urlencoded", form).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["detail"], detail, "{form}");
    }
}
