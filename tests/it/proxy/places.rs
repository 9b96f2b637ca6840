//! Where the token that counts may stand, as a proxy and the settings say.

use serde_json::json;

use super::candidates::{OF_THE_APP, cookies, tokens};
use super::{PATHS, assert_allowed, assert_refused, gateway, proxy, settings, with_token};
use crate::support::{TestApp, open};

#[tokio::test]
async fn a_proxy_says_where_a_token_counts() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let proxy = proxy(&app);
    let all = |path: &str| {
        let call = proxy.get(path).header("x-session-token", &tokens.ana);
        cookies(with_token(call, &tokens.ben), &[&tokens.expired])
    };
    for path in ["/auth/nginx", "/auth/forward"] {
        for (from, header, login_id_or_reason) in [
            ("header", None, Ok("ana")),
            ("bearer", None, Ok("ben")),
            ("cookie", None, Err("expired")),
            ("cookie,bearer", None, Ok("ben")),
            ("cookie,%20header", None, Ok("ana")),
            ("header,bearer", None, Err("token_ambiguous")),
            ("header,bearer", Some("bearer, cookie"), Ok("ben")),
            ("header&from=bearer", None, Err("token_missing")),
            ("header", Some("bearer"), Err("token_missing")),
        ] {
            let call = all(&format!("{path}?from={from}"));
            let call = match header {
                Some(header) => call.header("x-auth-token-from", header),
                None => call,
            };
            match login_id_or_reason {
                Ok(login_id) => assert_allowed(&call.await, login_id),
                Err(reason) => assert_refused(&call.await, 401, reason),
            }
        }
    }
    for path in PATHS {
        let call = all(path).header("x-auth-token-from", "bearer");
        assert_allowed(&call.await, "ben");
        let twice = all(path).header("x-auth-token-from", "header,bearer");
        let twice = twice.header("x-auth-token-from", "header,cookie");
        assert_allowed(&twice.await, "ana");
    }
}

#[tokio::test]
async fn a_place_that_is_not_known_is_told_even_without_a_token() {
    let app = gateway();
    let token = tokens(&app).await.ana;
    let proxy = proxy(&app);
    for wrong in ["body", "", "cookie,", "Cookie", "cookie;bearer"] {
        for path in ["/auth/nginx", "/auth/forward"] {
            let path = format!("{path}?from={wrong}");
            assert_refused(&proxy.get(&path).await, 403, "misconfigured");
            let answer = with_token(proxy.get(&path), &token).await;
            assert_refused(&answer, 403, "misconfigured");
        }
        for path in PATHS {
            let call = proxy.get(path).header("x-auth-token-from", wrong);
            assert_refused(&call.await, 403, "misconfigured");
        }
    }
    // There the query is the client's.
    let envoy = with_token(proxy.get("/auth/envoy/?from=body"), &token);
    assert_allowed(&envoy.await, "ana");
}

#[tokio::test]
async fn without_external_tokens_only_those_of_the_gateway_are_candidates() {
    let mut all = settings("10.0.0.0/8").to_vec();
    all.push(("SGW_EXTERNAL_TOKENS", "off"));
    let app = TestApp::with(&all);
    let own = tokens(&app).await.ana;
    let brought = "brought-0123456789abcdef0123456789abcdef";
    open(&app.admin(), json!({"login_id": "ben", "token": brought})).await;
    let proxy = proxy(&app);
    for path in PATHS {
        for foreign in [brought, OF_THE_APP[0], "sgw_x", "junk"] {
            let call = with_token(proxy.get(path), foreign);
            assert_refused(&call.clone().await, 401, "token_missing");
            assert_allowed(&cookies(call, &[&own]).await, "ana");
        }
    }
    let also_brought = gateway();
    open(
        &also_brought.admin(),
        json!({"login_id": "ben", "token": brought}),
    )
    .await;
    let call = with_token(super::proxy(&also_brought).get(PATHS[0]), brought);
    assert_allowed(&call.await, "ben");
}

#[tokio::test]
async fn a_token_that_no_cookie_can_have_is_refused_when_it_is_brought() {
    let app = gateway();
    let bring = async |app: &TestApp, token: &str| {
        let new = json!({"login_id": "ana", "token": token});
        app.admin().post("/v1/sessions").json(&new).await
    };
    for piece in ["\"", ",", ";", "\\"] {
        let token = format!("brought{piece}0123456789abcdef0123456789abcdef");
        let answer = bring(&app, &token).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], "/token", "{problem}");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("SGW_TOKEN_COOKIE"), "{detail}");
        assert!(!problem.to_string().contains("brought"), "{problem}");
        bring(&TestApp::new(), &token).await.expect(201);
    }
    let proxy = proxy(&app);
    for token in [
        "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA==",
        "s:Zm9vYmFyZm9vYmFyZm9vYmFyZm9v.Nq+7/aZ0123456789abcdef",
        "abcdefghijklmnopqrstuvwxyz%3D0123456789%3D",
        "!#$&'()*+-./:<=>?@[]^_`{|}~0123456789abcdef",
    ] {
        bring(&app, token).await.expect(201);
        for path in PATHS {
            assert_allowed(&cookies(proxy.get(path), &[token]).await, "ana");
            assert_allowed(&with_token(proxy.get(path), token).await, "ana");
        }
    }
}
