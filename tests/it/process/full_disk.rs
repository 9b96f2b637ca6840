//! A full disk: what is there is read and ends, nothing more is kept, and all goes on when there is room again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Gateway, Launch, Opened, SmallDisk, open};

const DEADLINE: Duration = Duration::from_secs(60);

fn on(disk: &SmallDisk) -> Launch {
    Launch::new()
        .unset("SGW_STORE_RESERVE")
        .set("SGW_STORE", &disk.store())
        .set("SGW_SWEEP_INTERVAL", "100ms")
        .set("SGW_TOMBSTONE_RETENTION", "1s")
        .set("SGW_EVENT_RETENTION", "1s")
        .set("SGW_IDLE_TIMEOUT_LIMIT", "1h")
}

fn large(login_id: &str) -> Value {
    let attributes = json!({"a": "x".repeat(60_000), "b": "y".repeat(60_000)});
    json!({"login_id": login_id, "attributes": attributes})
}

/// Opens large sessions until one is refused; those that were opened, and the refusal.
async fn fill_up(client: &Client) -> (Vec<Opened>, Answer) {
    let mut opened = Vec::new();
    loop {
        let created = client.post("/v1/sessions").json(&large("crowd")).await;
        if created.status != 201 {
            return (opened, created);
        }
        opened.push(Opened::of(&created.json()));
    }
}

#[track_caller]
fn assert_full(refused: &Answer) {
    let problem = refused.problem(503, "store_unavailable");
    assert!(
        problem["detail"].as_str().unwrap().contains("full"),
        "{problem}"
    );
    assert_eq!(refused.header("retry-after"), "1");
}

async fn codes(gateway: &Gateway) -> Vec<String> {
    let ready = gateway.nobody().get("/readyz").await.value(200);
    let warnings = ready["warnings"].as_array().cloned().unwrap_or_default();
    let codes = warnings.iter().map(|warning| warning["code"].as_str());
    let codes = codes.map(|code| code.unwrap().to_owned());
    codes.filter(|code| code.starts_with("store_")).collect()
}

async fn verify(client: &Client, session: &Opened) -> Value {
    let token = json!({"token": session.token});
    client
        .post("/v1/tokens/verify")
        .json(&token)
        .await
        .value(200)
}

/// Each of the sessions is verified, and every second one logged out.
async fn verify_and_log_out(client: &Client, sessions: &[Opened]) {
    for (number, session) in sessions.iter().enumerate() {
        assert_eq!(verify(client, session).await["active"], true);
        if number % 2 == 0 {
            client.delete(session.path()).await.expect(204);
            assert_eq!(verify(client, session).await["active"], false);
        }
    }
}

/// Waits until a session can be opened again.
async fn opens_again(client: &Client) -> Opened {
    let until = Instant::now() + DEADLINE;
    loop {
        let wanted = json!({"login_id": "late"});
        let created = client.post("/v1/sessions").json(&wanted).await;
        if created.status == 201 {
            return Opened::of(&created.json());
        }
        assert_full(&created);
        assert!(Instant::now() < until, "no room was found again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_sessions_are_verified_and_end_and_with_room_all_goes_on() {
    let disk = SmallDisk::of(64);
    let gateway = on(&disk).start().await;
    let admin = gateway.admin();
    let small = open(&admin, json!({"login_id": "ana"})).await;
    let (crowd, refused) = fill_up(&admin).await;
    assert_full(&refused);
    assert!(crowd.len() > 100, "only {} sessions fit", crowd.len());
    assert_eq!(codes(&gateway).await, ["store_full"]);
    disk.fill();

    let key = json!({"value": 1});
    let refresh = admin.post(small.at("/refresh"));
    let refresh = refresh.header("Idempotency-Key", "\"one-that-is-new\"");
    for refused in [
        refresh.json(&json!({})).await,
        admin.put(small.at("/attributes/a")).json(&key).await,
        admin.post("/v1/sessions").json(&large("late")).await,
        admin
            .put("/v1/logins/ana/profile")
            .json(&json!({"profile": {}, "ttl_seconds": 60}))
            .await,
    ] {
        assert_full(&refused);
    }
    verify_and_log_out(&admin, &crowd).await;
    assert_eq!(verify(&admin, &small).await["active"], true);
    let ended = admin.delete("/v1/logins/crowd/sessions").await.value(200);
    assert_eq!(ended["count"], crowd.len() / 2);

    disk.make_room();
    let late = opens_again(&admin).await;
    assert_eq!(verify(&admin, &late).await["active"], true);
    assert_eq!(codes(&gateway).await, [""; 0]);
    assert_eq!(gateway.stderr().matches("store.full").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_on_a_full_disk_what_is_over_goes_and_makes_room() {
    let disk = SmallDisk::of(64);
    let gateway = on(&disk).start().await;
    let (crowd, _) = fill_up(&gateway.admin()).await;
    disk.fill();
    let gateway = gateway.kill_and_restart().await;
    let admin = gateway.admin();
    let refused = admin.post("/v1/sessions").json(&large("late")).await;
    assert_full(&refused);
    verify_and_log_out(&admin, &crowd[..20]).await;

    // What has ended goes when its tombstone and events do. Nobody else makes room.
    admin.delete("/v1/logins/crowd/sessions").await.expect(200);
    let until = Instant::now() + DEADLINE;
    while verify(&admin, &crowd[0]).await["reason"] != "unknown_token" {
        assert!(Instant::now() < until, "tombstones are kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    opens_again(&admin).await;
    let (more, _) = fill_up(&admin).await;
    assert!(
        more.len() >= crowd.len() / 2,
        "{} of {}",
        more.len(),
        crowd.len()
    );
    verify_and_log_out(&admin, &more[..20]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_warned_before_the_disk_is_full() {
    let disk = SmallDisk::of(64);
    let gateway = on(&disk).start().await;
    let admin = gateway.admin();
    assert_eq!(codes(&gateway).await, [""; 0]);
    disk.take(44 << 20);
    assert_eq!(codes(&gateway).await, ["store_nearly_full"]);
    let told = admin.get("/readyz").await.value(200);
    let detail = told["warnings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("% full"), "{detail}");
    open(&admin, json!({"login_id": "ana"})).await;
    disk.make_room();
    assert_eq!(codes(&gateway).await, [""; 0]);
}
