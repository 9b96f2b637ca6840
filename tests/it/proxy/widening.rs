//! What lets a request pass without a user: parts of a path that only an operator writes, and nothing else.

use axum::http::Method;
use serde_json::json;

use super::{
    BESIDE_LOGIN, PATHS, WIDENINGS, ask, assert_allowed, assert_refused, from, gateway,
    over_losable, proxy, with_token,
};
use crate::support::{Answer, Call, Client, open};

const UNKNOWN: &str = "foreign-token-0123456789abcdef0123456789abcdef";

/// Asserts a yes for nobody, with this reason.
#[track_caller]
fn assert_nobody(answer: &Answer, reason: &str) {
    assert_allowed(answer, "");
    for name in BESIDE_LOGIN {
        assert_eq!(answer.header(name), "", "{name}");
    }
    assert_eq!(answer.header("x-auth-reason"), reason);
    assert!(!answer.headers.contains_key("www-authenticate"));
}

/// A preflight as every kind of proxy would tell of it.
fn preflight(client: &Client, path: &str) -> Call {
    client
        .call(Method::OPTIONS, path)
        .header("origin", "https://spa.example.org")
        .header("access-control-request-method", "PUT")
        .header("x-forwarded-method", "OPTIONS")
        .header("x-original-method", "OPTIONS")
}

#[tokio::test]
async fn what_would_be_401_passes_as_nobody_where_that_is_optional() {
    let app = gateway();
    let admin = app.admin();
    let new = json!({"login_id": "ana", "attributes": {"role": "admin"}});
    let good = open(&admin, new).await.token;
    let ended = open(&admin, json!({"login_id": "ana"})).await;
    admin.delete(ended.path()).await.expect(204);
    let ben = open(&admin, json!({"login_id": "ben"})).await.token;
    let proxy = proxy(&app);
    for path in PATHS {
        for suffix in ["-optional", "-optional-preflight", "-optional/"] {
            let path = format!("{path}{suffix}");
            let user = ask(&proxy, &path, &good).await;
            assert_allowed(&user, "ana");
            assert_eq!(user.header("x-auth-attr-role"), "admin");
            assert_eq!(user.header("x-auth-reason"), "");
            assert_nobody(&proxy.get(&path).await, "token_missing");
            assert_nobody(&ask(&proxy, &path, UNKNOWN).await, "token_invalid");
            assert_nobody(&ask(&proxy, &path, &ended.token).await, "session_ended");
            let two = with_token(proxy.get(&path), &good).header("x-session-token", &ben);
            assert_nobody(&two.await, "token_ambiguous");
        }
    }
}

#[tokio::test]
async fn optional_leaves_403_and_503_as_they_are_and_sends_nobody_to_log_in() {
    let app = gateway();
    let good = open(&app.admin(), json!({"login_id": "ana"})).await.token;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    let (proxy, stranger) = (from(&state, "10.1.2.3"), from(&state, "192.0.2.1"));
    for path in PATHS {
        let path = format!("{path}-optional");
        let call = with_token(proxy.get(&path), &good).header("x-auth-require", "role:admin");
        assert_refused(&call.await, 403, "requirement_not_met");
        let call = with_token(proxy.get(&path), &good).header("x-auth-require", "role");
        assert_refused(&call.await, 403, "misconfigured");
        let call = proxy.get(&path).header("x-auth-token-from", "body");
        assert_refused(&call.await, 403, "misconfigured");
        let call = with_token(stranger.get(&path), &good);
        assert_refused(&call.await, 403, "proxy_unauthenticated");
    }
    let page = "/auth/forward-optional?login_url=https%3A%2F%2Flogin.example.com%2Fin";
    let browser = proxy.get(page).header("sec-fetch-mode", "navigate");
    assert_nobody(&browser.await, "token_missing");
    store.lose(true);
    for path in PATHS {
        let path = format!("{path}-optional");
        ask(&proxy, &path, &good).await.expect(503);
    }
}

#[tokio::test]
async fn a_preflight_passes_as_nobody_where_preflights_may() {
    let app = gateway();
    let token = open(&app.admin(), json!({"login_id": "ana"})).await.token;
    let proxy = proxy(&app);
    for path in PATHS {
        for suffix in ["-preflight", "-optional-preflight", "-preflight/"] {
            let path = format!("{path}{suffix}");
            assert_nobody(&preflight(&proxy, &path).await, "");
            // It is never sent with a token; who sends one is nobody all the same.
            let with_token = with_token(preflight(&proxy, &path), &token);
            assert_nobody(&with_token.await, "");
            assert_allowed(&ask(&proxy, &path, &token).await, "ana");
        }
        assert_refused(
            &proxy.get(format!("{path}-preflight")).await,
            401,
            "token_missing",
        );
        for suffix in ["", "-optional"] {
            let answer = preflight(&proxy, &format!("{path}{suffix}")).await;
            match suffix {
                "" => assert_refused(&answer, 401, "token_missing"),
                _ => assert_nobody(&answer, "token_missing"),
            }
        }
    }
}

#[tokio::test]
async fn only_the_place_where_a_proxy_tells_the_method_makes_a_preflight() {
    let app = gateway();
    let proxy = proxy(&app);
    let told = |path: &str, method: &str, lines: &[(&str, &str)]| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let call = proxy.call(method, format!("{path}-preflight"));
        let call = call
            .header("origin", "https://spa.example.org")
            .header("access-control-request-method", "PUT");
        let add = |call: Call, (name, value): &(&str, &str)| call.header(name, value);
        lines.iter().fold(call, add)
    };
    let forwarded = ("x-forwarded-method", "OPTIONS");
    let original = ("x-original-method", "OPTIONS");
    assert_nobody(&told("/auth/nginx", "GET", &[original]).await, "");
    assert_nobody(&told("/auth/forward", "GET", &[forwarded]).await, "");
    assert_nobody(&told("/auth/envoy", "OPTIONS", &[]).await, "");
    for (path, method, lines) in [
        ("/auth/nginx", "OPTIONS", vec![forwarded]),
        ("/auth/nginx", "GET", vec![original, original]),
        ("/auth/nginx", "OPTIONS", vec![("x-original-method", "GET")]),
        ("/auth/forward", "OPTIONS", vec![original]),
        (
            "/auth/forward",
            "GET",
            vec![forwarded, ("x-forwarded-method", "GET")],
        ),
        ("/auth/envoy", "GET", vec![forwarded, original]),
        (
            "/auth/envoy",
            "GET",
            vec![("x-http-method-override", "OPTIONS")],
        ),
    ] {
        let answer = told(path, method, &lines).await;
        assert_refused(&answer, 401, "token_missing");
    }
}

#[tokio::test]
async fn options_without_the_headers_of_a_preflight_are_asked_about() {
    let app = gateway();
    let proxy = proxy(&app);
    for path in PATHS {
        let call = || {
            proxy
                .call(Method::OPTIONS, format!("{path}-preflight"))
                .header("x-forwarded-method", "OPTIONS")
                .header("x-original-method", "OPTIONS")
        };
        for call in [
            call(),
            call().header("origin", "https://spa.example.org"),
            call().header("access-control-request-method", "PUT"),
        ] {
            assert_refused(&call.await, 401, "token_missing");
        }
    }
}

#[tokio::test]
async fn nothing_that_a_client_sends_widens() {
    let app = gateway();
    let proxy = proxy(&app);
    for path in PATHS {
        for query in [
            "optional=true",
            "preflight=allow",
            "from=cookie",
            "optional",
        ] {
            let call = preflight(&proxy, &format!("{path}?{query}"));
            let call = call
                .header("x-auth-optional", "true")
                .header("x-auth-preflight", "allow");
            assert_refused(&call.await, 401, "token_missing");
        }
    }
    let below = ["/auth/envoy/x-optional", "/auth/envoy/-preflight"];
    for path in below {
        assert_refused(&preflight(&proxy, path).await, 401, "token_missing");
    }
}

#[tokio::test]
async fn every_path_below_that_of_envoy_is_asked_about_alike() {
    let app = gateway();
    let proxy = proxy(&app);
    for suffix in WIDENINGS {
        for below in ["", "/", "//", "/a/b?from=body", "/auth/nginx", "/%zz/%ff"] {
            let path = format!("/auth/envoy{suffix}{below}");
            let answer = proxy.get(&path).await;
            if suffix == "-preflight" {
                assert_refused(&answer, 401, "token_missing");
            } else {
                assert_nobody(&answer, "token_missing");
            }
        }
    }
}

#[tokio::test]
async fn a_path_that_nobody_is_asked_at_is_told_as_misconfigured() {
    let app = gateway();
    let token = open(&app.admin(), json!({"login_id": "ana"})).await.token;
    let proxy = proxy(&app);
    for path in [
        "/auth/",
        "/auth/nothing",
        "/auth/nginx/x",
        "/auth/nginx//",
        "/auth/nginx-",
        "/auth/nginx-preflight-optional",
        "/auth/forward/x",
        "/auth/forward-optional/x",
        "/auth/envoyhello",
        "/auth/Envoy",
        "/auth/%6eginx",
        "/auth//envoy",
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let call = || proxy.call(method.clone(), path);
            assert_refused(&call().await, 403, "misconfigured");
            let call = with_token(call(), &token);
            assert_refused(&call.await, 403, "misconfigured");
        }
    }
}

#[tokio::test]
async fn what_lets_more_pass_is_explained() {
    let app = gateway();
    let admin = app.admin();
    let explain = async |request| {
        let answer = admin.post("/v1/auth/explain").json(&request).await;
        answer.value(200)
    };
    let optional = explain(json!({"proxy": "nginx", "lets_pass": "optional"})).await;
    assert_eq!(optional["status"], 200);
    assert_eq!(optional["reason"], "token_missing");
    assert_eq!(optional["headers"]["x-auth-reason"], "token_missing");
    for kind in ["nginx", "forward", "envoy"] {
        let preflight = |lets_pass: &str| {
            let lines = json!({
                "Origin": "https://spa.example.org", "Access-Control-Request-Method": "PUT",
            });
            json!({"proxy": kind, "method": "OPTIONS", "headers": lines, "lets_pass": lets_pass})
        };
        let passed = explain(preflight("preflight")).await;
        assert_eq!(passed["status"], 200, "{passed}");
        assert_eq!(passed["reason"], json!(null));
        assert_eq!(passed["checks"][0]["outcome"], "passed");
        assert_eq!(passed["checks"][3]["outcome"], "not_reached");
        assert_eq!(explain(preflight("none")).await["status"], 401);
    }
}
