//! Which token counts when a request carries several.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    PATHS, assert_allowed, assert_refused, from, gateway, over_losable, proxy, with_token,
};
use crate::support::{Answer, Call, Client, TestApp, open};

/// Tokens of an app's own, beside that of the gateway.
pub(super) const OF_THE_APP: [&str; 3] = [
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJlLW9mLXRoZS1hcHA",
    "glpat-0123456789abcdefghij",
    "short",
];

pub(super) struct Tokens {
    pub(super) ana: String,
    /// Of another session of the same login.
    ana_again: String,
    pub(super) ben: String,
    logged_out: String,
    pub(super) expired: String,
}

pub(super) async fn tokens(app: &TestApp) -> Tokens {
    let admin = app.admin();
    let short = json!({"login_id": "cy", "idle_timeout_seconds": 5});
    let expired = open(&admin, short).await.token;
    app.pass(Duration::from_secs(6));
    let logged_out = open(&admin, json!({"login_id": "dan"})).await;
    admin.delete(logged_out.path()).await.expect(204);
    let of = async |login_id: &str| open(&admin, json!({"login_id": login_id})).await.token;
    Tokens {
        ana: of("ana").await,
        ana_again: of("ana").await,
        ben: of("ben").await,
        logged_out: logged_out.token,
        expired,
    }
}

pub(super) fn cookies(call: Call, tokens: &[&str]) -> Call {
    let pairs: Vec<_> = tokens.iter().map(|token| format!("sid={token}")).collect();
    call.header("cookie", &pairs.join("; "))
}

#[tokio::test]
async fn a_token_of_the_app_neither_shuts_nor_opens_the_door() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let proxy = proxy(&app);
    for path in PATHS {
        for foreign in OF_THE_APP {
            for scheme in ["Bearer", "bearer", "DPoP", "Token", "Basic"] {
                let value = format!("{scheme} {foreign}");
                let call = || proxy.get(path).header("authorization", &value);
                assert_allowed(&cookies(call(), &[&tokens.ana]).await, "ana");
                let dead = cookies(call(), &[&tokens.logged_out]).await;
                assert_refused(&dead, 401, "session_ended");
                let alone = if scheme == "Token" || scheme == "Basic" {
                    "token_missing"
                } else {
                    "token_invalid"
                };
                assert_refused(&call().await, 401, alone);
            }
        }
        for empty in ["Bearer", "Bearer ", "Token"] {
            let call = proxy.get(path).header("authorization", empty);
            assert_allowed(&cookies(call, &[&tokens.ana]).await, "ana");
        }
    }
}

#[tokio::test]
async fn what_is_unknown_or_over_does_not_count_beside_what_lives() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let proxy = proxy(&app);
    let dead = [tokens.logged_out.as_str(), OF_THE_APP[0], "junk"];
    for path in PATHS {
        for other in dead {
            let two = with_token(proxy.get(path), other);
            assert_allowed(&cookies(two, &[&tokens.ana]).await, "ana");
            let two = with_token(proxy.get(path), &tokens.ana);
            assert_allowed(&cookies(two, &[other]).await, "ana");
            let two = cookies(proxy.get(path), &[other, &tokens.ana]);
            assert_allowed(&two.await, "ana");
        }
        let many = [dead.as_slice(), &[&tokens.ana_again, &tokens.ana]].concat();
        let answer = cookies(proxy.get(path), &many).await;
        assert_allowed(&answer, "ana");
    }
}

#[tokio::test]
async fn of_one_login_the_first_counts_and_of_two_logins_none() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let proxy = proxy(&app);
    let session_of = async |call: Call| call.await.header("x-auth-session-id").to_owned();
    let first = session_of(with_token(proxy.get("/auth/nginx"), &tokens.ana)).await;
    for path in PATHS {
        let in_order = proxy.get(path).header("x-session-token", &tokens.ana);
        let in_order = with_token(in_order, &tokens.ana_again);
        assert_eq!(session_of(in_order).await, first);
        let by_bearer = with_token(proxy.get(path), &tokens.ana);
        assert_eq!(
            session_of(cookies(by_bearer, &[&tokens.ana_again])).await,
            first
        );
        let by_cookie = cookies(proxy.get(path), &[&tokens.ana, &tokens.ana_again]);
        assert_eq!(session_of(by_cookie).await, first);

        let two = cookies(with_token(proxy.get(path), &tokens.ben), &[&tokens.ana]);
        assert_refused(&two.await, 401, "token_ambiguous");
        let two = cookies(proxy.get(path), &[OF_THE_APP[0], &tokens.ana, &tokens.ben]);
        assert_refused(&two.await, 401, "token_ambiguous");
    }
}

#[tokio::test]
async fn if_none_lives_the_first_known_one_tells_why() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let (ended, expired) = (tokens.logged_out.as_str(), tokens.expired.as_str());
    for path in PATHS {
        for (sent, reason) in [
            ([OF_THE_APP[0], ended, expired], "session_ended"),
            (["junk", expired, ended], "expired"),
            (["junk", OF_THE_APP[0], OF_THE_APP[1]], "token_invalid"),
        ] {
            let answer = cookies(proxy(&app).get(path), &sent).await;
            assert_refused(&answer, 401, reason);
        }
    }
}

#[tokio::test]
async fn eight_are_looked_for_and_more_are_ambiguous() {
    let app = gateway();
    let good = tokens(&app).await.ana;
    let junk: Vec<_> = (0..8).map(|number| format!("junk{number}")).collect();
    let with_junk = |count: usize| {
        let mut sent: Vec<_> = junk.iter().take(count).map(String::as_str).collect();
        sent.extend([good.as_str(), good.as_str()]);
        cookies(proxy(&app).get("/auth/nginx"), &sent)
    };
    assert_allowed(&with_junk(7).await, "ana");
    assert_refused(&with_junk(8).await, 401, "token_ambiguous");
}

#[tokio::test]
async fn a_cookie_is_read_with_or_without_quotes() {
    let app = gateway();
    let token = tokens(&app).await.ana;
    let proxy = proxy(&app);
    for path in PATHS {
        for cookie in [
            format!("sid=\"{token}\""),
            format!("a=\"x=1\"; sid=\"{token}\" ; b=2"),
            format!("a=1; \tsid={token} ; b=2"),
            format!("flag; sid={token}; sid=\"{token}\""),
            format!("n=\u{e9}t\u{e9}; xsid=1; sid_old=2; sid={token}"),
        ] {
            assert_allowed(&proxy.get(path).header("cookie", &cookie).await, "ana");
        }
    }
}

#[tokio::test]
async fn only_the_session_that_counts_is_used() {
    let app = gateway();
    let new = |login_id: &str| json!({"login_id": login_id, "idle_timeout_seconds": 60});
    let admin = app.admin();
    let first = open(&admin, new("ana")).await;
    let second = open(&admin, new("ana")).await;
    let third = open(&admin, new("ben")).await;
    app.pass(Duration::from_secs(40));
    let proxy = proxy(&app);
    let call = |path: &str| cookies(proxy.get(path), &["junk", &first.token, &second.token]);
    for path in PATHS {
        let answer = call(path).await;
        assert_allowed(&answer, "ana");
        let expires_at = json!(answer.header("x-auth-expires-at"));
        assert_eq!(app.seconds_until(&expires_at), 60);
    }
    let ambiguous = cookies(proxy.get(PATHS[0]), &[&third.token, &first.token]);
    assert_refused(&ambiguous.await, 401, "token_ambiguous");
    let used = async |path: String| {
        let session = admin.get(path).await.value(200);
        app.seconds_until(&session["idle_expires_at"])
    };
    assert_eq!(used(first.path()).await, 60);
    assert_eq!(used(second.path()).await, 20);
    assert_eq!(used(third.path()).await, 20);
}

async fn explained(admin: &Client, cookies: &[&str]) -> Value {
    let pairs: Vec<_> = cookies.iter().map(|token| format!("sid={token}")).collect();
    let request = json!({"proxy": "nginx", "headers": {"Cookie": pairs.join("; ")}});
    let answer = admin.post("/v1/auth/explain").json(&request).await;
    answer.value(200)
}

#[tokio::test]
async fn an_explanation_tells_what_became_of_each() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let admin = app.admin();
    let sent = [
        "junk",
        OF_THE_APP[0],
        &tokens.expired,
        &tokens.ana,
        &tokens.ana_again,
    ];
    let explanation = explained(&admin, &sent).await;
    let of = |outcome: &str| json!({"from": "cookie", "outcome": outcome});
    let wanted = ["malformed", "unknown", "ended", "counts", "lives"].map(of);
    assert_eq!(explanation["candidates"], json!(wanted));
    assert_eq!(explanation["status"], 200);
    assert!(!explanation.to_string().contains(&tokens.ana));
    let two = explained(&admin, &[&tokens.ben, &tokens.ana]).await;
    assert_eq!(two["candidates"], json!([of("lives"), of("lives")]));
    assert_eq!(two["reason"], "token_ambiguous");
    let misspelt = json!({"proxy": "nginx", "token": tokens.ana, "query": "requrie=a:b"});
    let answer = admin.post("/v1/auth/explain").json(&misspelt).await;
    let not_reached = json!([{"from": "bearer", "outcome": "not_reached"}]);
    assert_eq!(answer.value(200)["candidates"], not_reached);
}

#[track_caller]
fn assert_unknown(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.body.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn what_the_store_does_not_tell_decides_unless_one_before_it_lives() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    let client = from(&state, "10.1.2.3");
    store.lose_all_of("ben");
    for path in PATHS {
        let ask = |sent: &[&str]| cookies(client.get(path), sent);
        assert_unknown(&ask(&[&tokens.ben, &tokens.ana]).await);
        assert_unknown(&ask(&[&tokens.expired, &tokens.ben]).await);
        assert_unknown(&ask(&["junk", &tokens.ben]).await);
        let answer = ask(&[&tokens.expired, &tokens.ana, &tokens.ben]).await;
        assert_allowed(&answer, "ana");
    }
}

#[tokio::test]
async fn all_are_asked_for_in_the_time_of_one() {
    let app = gateway();
    let tokens = tokens(&app).await;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    let client = from(&state, "10.1.2.3");
    store.lose(true);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let all = [&tokens.ana, &tokens.ana_again, &tokens.ben, &tokens.expired];
    let all = all.map(String::as_str);
    assert_unknown(&cookies(client.get(PATHS[0]), &all).await);
    assert!(started.elapsed() < Duration::from_millis(200));
}
