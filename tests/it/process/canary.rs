//! No credential in clear outside the answers that hand it out: not on disk, not in the log at its most talkative, not
//! in metrics or traces.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::metrics::Sink;
use crate::support::{ADMIN_SECRET, Client, Gateway, Launch, open};

const FORM: &str = "application/x-www-form-urlencoded";
const BROUGHT: &str = "canary-token-of-a-login-framework-0123456789";
const CHOSEN: &str = "canary-secret-chosen-by-an-operator-0123456789";
const WRONG: &str = "canary-secret-that-is-wrong-0123456789abcdef";
const MARKER: &str = "plain-marker-in-the-data";
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

/// What must be found nowhere: as text, and as the bytes behind it.
#[derive(Default)]
struct Needles(Vec<Vec<u8>>);

impl Needles {
    fn text(&mut self, text: &str) {
        self.0.push(text.as_bytes().to_vec());
    }

    /// The random part of a token; its session id is no secret.
    fn token(&mut self, token: &str) {
        let encoded = token.strip_prefix("sgw_").unwrap();
        self.text(&encoded[24..]);
        self.0
            .push(URL_SAFE_NO_PAD.decode(encoded).unwrap()[16..].to_vec());
    }

    fn secret(&mut self, secret: &str) {
        self.text(secret);
        let encoded = secret.strip_prefix("sgs_").unwrap();
        self.0.push(URL_SAFE_NO_PAD.decode(encoded).unwrap());
    }
}

/// Has credentials of every kind made, and tells what to look for.
async fn make_credentials(gateway: &Gateway, needles: &mut Needles) -> Vec<String> {
    for text in [BROUGHT, CHOSEN, WRONG, KEY, ADMIN_SECRET] {
        needles.text(text);
    }
    let admin = gateway.admin();
    open(
        &admin,
        json!({"login_id": "w", "attributes": {"marker": MARKER}}),
    )
    .await;
    let own = open(&admin, json!({"login_id": "u"})).await;
    let brought = open(&admin, json!({"login_id": "u", "token": BROUGHT})).await;
    let shop = json!({"service_id": "shop", "service_name": "Shop", "permissions": ["*"], "secret": CHOSEN});
    admin.post("/v1/services").json(&shop).await.expect(201);
    let rotate = admin
        .post("/v1/services/shop/rotate-secret")
        .header("Idempotency-Key", KEY);
    let rotated = rotate.json(&json!({"grace_seconds": 60})).await.value(200);
    let secret = rotated["secret"].as_str().unwrap();
    let open_once = admin.post("/v1/sessions").header("Idempotency-Key", KEY);
    let kept = open_once.json(&json!({"login_id": "v"})).await.value(201);
    let kept = kept["token"].as_str().unwrap().to_owned();
    needles.secret(secret);
    needles.token(&own.token);
    needles.token(&kept);
    let shop = |secret: &str| gateway.nobody().as_service("shop", secret);
    shop(secret).get("/v1/whoami").await.expect(200);
    shop(WRONG).get("/v1/whoami").await.expect(401);
    vec![own.token, brought.token, kept]
}

/// Shows tokens where they belong and where they do not.
async fn use_tokens(admin: &Client, tokens: &[String]) {
    for token in tokens {
        let form = format!("token={token}");
        admin
            .post("/v1/tokens/verify")
            .json(&json!({"token": token}))
            .await
            .expect(200);
        admin
            .post("/v1/tokens/introspect")
            .text(FORM, form.clone())
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
        admin
            .post("/v1/tokens/revoke")
            .text(FORM, form)
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn no_credential_is_in_the_data_or_in_the_log() {
    let sink = Sink::start().await;
    let launch = Launch::new()
        .set("SGW_LOG", "trace")
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint());
    let mut gateway = launch.start().await;
    let mut needles = Needles::default();
    let tokens = make_credentials(&gateway, &mut needles).await;
    use_tokens(&gateway.admin(), &tokens).await;
    let metrics = gateway.nobody().get("/metrics").await.expect(200).body;
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success());

    let log = gateway.stderr();
    assert!(log.contains("request.id"), "the log is not at TRACE: {log}");
    let data = files(&gateway.data());
    let finds = |needle: &[u8]| data.iter().any(|file| contains(file, needle));
    assert!(
        finds(MARKER.as_bytes()),
        "the data is not where it is looked for"
    );
    let traces = sink.bodies();
    assert!(!traces.is_empty(), "no traces were sent");
    for needle in &needles.0 {
        let shown = String::from_utf8_lossy(needle);
        assert!(!contains(&metrics, needle), "the metrics show {shown}");
        let is_shown = traces.iter().any(|body| contains(body, needle));
        assert!(!is_shown, "the traces show {shown}");
        assert!(!contains(log.as_bytes(), needle), "the log shows {shown}");
        assert!(!finds(needle), "the data shows {shown}");
    }
    assert!(
        !log.contains(MARKER),
        "the log shows the value of an attribute"
    );
}
