//! No credential in clear outside the answers that hand it out: not on disk, not in the log at its most talkative.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{ADMIN_SECRET, Launch, open};

const FORM: &str = "application/x-www-form-urlencoded";
const BROUGHT: &str = "canary-token-of-a-login-framework-0123456789";
const CHOSEN: &str = "canary-secret-chosen-by-an-operator-0123456789";
const WRONG: &str = "canary-secret-that-is-wrong-0123456789abcdef";
const KEY: &str = "canary-idempotency-key";

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn files(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test]
async fn no_credential_is_in_the_data_or_in_the_log() {
    let mut gateway = Launch::new().set("SGW_LOG", "trace").start().await;
    let admin = gateway.admin();
    let own = open(
        &admin,
        json!({"login_id": "u", "attributes": {"marker": "plain-marker-in-the-data"}}),
    )
    .await;
    let brought = open(&admin, json!({"login_id": "u", "token": BROUGHT})).await;
    let request = json!({"service_id": "shop", "service_name": "Shop", "permissions": ["*"], "secret": CHOSEN});
    admin.post("/v1/services").json(&request).await.expect(201);
    let rotated = admin
        .post("/v1/services/shop/rotate-secret")
        .header("Idempotency-Key", KEY);
    let made = rotated.json(&json!({"grace_seconds": 60})).await.value(200)["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let repeated = admin
        .post("/v1/sessions")
        .header("Idempotency-Key", KEY)
        .json(&json!({"login_id": "v"}))
        .await
        .value(201);
    let kept_answer = repeated["token"].as_str().unwrap().to_owned();
    gateway
        .nobody()
        .as_service("shop", &made)
        .get("/v1/whoami")
        .await
        .expect(200);
    gateway
        .nobody()
        .as_service("shop", WRONG)
        .get("/v1/whoami")
        .await
        .expect(401);
    for token in [&own.token, &brought.token, &kept_answer] {
        admin
            .post("/v1/tokens/verify")
            .json(&json!({"token": token}))
            .await
            .expect(200);
        admin
            .post("/v1/tokens/introspect")
            .text(FORM, format!("token={token}"))
            .await
            .expect(200);
        admin
            .get(format!("/v1/sessions?token={token}"))
            .await
            .expect(400);
        admin
            .post("/v1/sessions")
            .json(&json!({"login_id": [token]}))
            .await
            .expect(400);
    }
    admin
        .post("/v1/tokens/revoke")
        .text(FORM, format!("token={}", own.token))
        .await
        .expect(200);
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success());

    let log = gateway.stderr();
    assert!(log.contains("request.id"), "the log is not at TRACE: {log}");
    let data = files(&gateway.data());
    let marker = b"plain-marker-in-the-data";
    assert!(
        data.iter().any(|file| contains(file, marker)),
        "the data is not where it is looked for"
    );
    let mut needles: Vec<Vec<u8>> = [BROUGHT, CHOSEN, WRONG, KEY, ADMIN_SECRET, &made]
        .map(|text| text.as_bytes().to_vec())
        .into();
    for token in [&own.token, &kept_answer] {
        let encoded = token.strip_prefix("sgw_").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
        needles.push(encoded.as_bytes()[24..].to_vec());
        needles.push(bytes[16..].to_vec());
    }
    needles.push(
        URL_SAFE_NO_PAD
            .decode(made.strip_prefix("sgs_").unwrap())
            .unwrap(),
    );
    for needle in &needles {
        let shown = String::from_utf8_lossy(needle);
        assert!(!contains(log.as_bytes(), needle), "the log shows {shown}");
        assert!(
            !data.iter().any(|file| contains(file, needle)),
            "the data shows {shown}"
        );
    }
    assert!(
        !log.contains("plain-marker-in-the-data"),
        "the log shows the value of an attribute"
    );
}
