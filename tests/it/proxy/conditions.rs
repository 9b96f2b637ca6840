//! What a proxy may ask of a session beside being live.

use serde_json::json;

use super::{PATHS, ask, assert_allowed, assert_refused, gateway, proxy, with_token};
use crate::support::open;

#[tokio::test]
async fn all_conditions_must_hold() {
    let app = gateway();
    let attributes = json!({"role": "admin", "level": 7, "tags": ["a", "b"], "note": "", "a:b": "c", "no": null});
    let new = json!({"login_id": "ana", "device": "web", "attributes": attributes});
    let token = open(&app.admin(), new).await.token;
    let proxy = proxy(&app);
    for (query, reason) in [
        ("require=role:admin", None),
        ("require=role:admin&require=level:7&device=web", None),
        ("require=tags:%5B%22a%22,%22b%22%5D", None),
        ("require=note:", None),
        ("require=no:null", None),
        ("", None),
        ("require=role:Admin", Some("requirement_not_met")),
        (
            "require=role:admin&require=role:user",
            Some("requirement_not_met"),
        ),
        ("require=level:%227%22", Some("requirement_not_met")),
        ("require=plan:", Some("requirement_not_met")),
        ("device=ios", Some("device_mismatch")),
        ("device=web&device=ios", Some("device_mismatch")),
        ("require=role", Some("misconfigured")),
        ("require=", Some("misconfigured")),
        ("require=:x", Some("misconfigured")),
        ("requrie=role:admin", Some("misconfigured")),
        ("device=", Some("misconfigured")),
        ("device=a%20b", Some("misconfigured")),
        ("require=role:%ff", Some("misconfigured")),
    ] {
        for path in ["/auth/nginx", "/auth/forward"] {
            let answer = ask(&proxy, &format!("{path}?{query}"), &token).await;
            match reason {
                None => assert_allowed(&answer, "ana"),
                Some(reason) => assert_refused(&answer, 403, reason),
            }
        }
        let path = format!("/auth/envoy/app?{query}");
        assert_allowed(&ask(&proxy, &path, &token).await, "ana");
    }
}

#[tokio::test]
async fn conditions_in_headers_add_to_those_of_the_query() {
    let app = gateway();
    let new = json!({"login_id": "ana", "device": "web", "attributes": {"role": "admin", "city": "K\u{f6}ln"}});
    let token = open(&app.admin(), new).await.token;
    let proxy = proxy(&app);
    for path in PATHS {
        for (name, value, reason) in [
            ("x-auth-require", "role:admin", None),
            ("x-auth-require", "city:K\u{f6}ln", None),
            ("x-auth-require-device", "web", None),
            ("x-auth-require", "role:user", Some("requirement_not_met")),
            ("x-auth-require-device", "ios", Some("device_mismatch")),
            ("x-auth-require", "", Some("misconfigured")),
            ("x-auth-require", "role", Some("misconfigured")),
            ("x-auth-require-device", "", Some("misconfigured")),
        ] {
            let call = with_token(proxy.get(path), &token);
            let call = call.header("x-auth-require", "role:admin");
            let answer = call.header(name, value).await;
            match reason {
                None => assert_allowed(&answer, "ana"),
                Some(reason) => assert_refused(&answer, 403, reason),
            }
        }
    }
    let narrowed = proxy.get("/auth/nginx?require=role:admin");
    let narrowed = with_token(narrowed, &token).header("x-auth-require", "role:user");
    assert_refused(&narrowed.await, 403, "requirement_not_met");
}
