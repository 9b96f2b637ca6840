//! Everything that a gateway does, once for each of some logins.

use serde_json::json;

use crate::support::{Client, Opened, open};

const FORM: &str = "application/x-www-form-urlencoded";
const LOGINS: [&str; 3] = ["u", "v", "w"];

/// Does it as a service that is registered for it and removed at the end.
pub(super) async fn do_everything(admin: &Client, nobody: &Client) {
    let shop = register(admin, nobody).await;
    for login in LOGINS {
        let session = open_within_limit(&shop, login).await;
        write(&shop, &session).await;
        read(&shop, login, &session).await;
        let ended = shop.delete(format!("/v1/logins/{login}/sessions"));
        assert_eq!(ended.await.value(200)["count"], 2);
        let verify = shop.post("/v1/tokens/verify");
        let verified = verify.json(&json!({"token": session.token})).await;
        assert_eq!(verified.value(200)["reason"], "logout");
        end_one_by_one(&shop, login).await;
        know_the_user(&shop, login).await;
    }
    let total = shop.get("/v1/sessions?total=true").await.value(200);
    assert_eq!(total["total"], 0);
    let events = shop.get("/v1/events?types=session.ended").await.value(200);
    let ended = events["items"].as_array().unwrap();
    assert_eq!(ended.len(), 5 * LOGINS.len());
    admin.delete("/v1/services/shop").await.expect(204);
    shop.get("/v1/whoami").await.expect(401);
}

async fn register(admin: &Client, nobody: &Client) -> Client {
    let wanted =
        json!({"service_id": "shop", "service_name": "Shop", "permissions": ["session.read"]});
    admin.post("/v1/services").json(&wanted).await.expect(201);
    let more = admin.patch("/v1/services/shop");
    let more = more.json(&json!({"permissions": ["*"]}));
    more.await.expect(200);
    let rotate = admin.post("/v1/services/shop/rotate-secret");
    let rotated = rotate.json(&json!({"grace_seconds": 60})).await.value(200);
    admin.get("/v1/services/shop").await.expect(200);
    let listed = admin.get("/v1/services").await.value(200);
    let ids = listed["items"].as_array().unwrap().iter();
    assert!(ids.map(|item| &item["service_id"]).any(|id| id == "shop"));
    let shop = nobody.as_service("shop", rotated["secret"].as_str().unwrap());
    shop.get("/v1/whoami").await.expect(200);
    shop
}

/// The second of three, of which the first has to go.
async fn open_within_limit(shop: &Client, login: &str) -> Opened {
    let limited = json!({"login_id": login, "limit": {"max": 2}});
    open(shop, limited.clone()).await;
    let session = open(shop, limited.clone()).await;
    let key = format!("key-of-{login}");
    let last = shop.post("/v1/sessions").header("Idempotency-Key", &key);
    let last = last.json(&limited).await.value(201);
    assert_eq!(last["evicted"].as_array().unwrap().len(), 1);
    session
}

async fn write(shop: &Client, session: &Opened) {
    let merge = shop.patch(session.at("/attributes"));
    let merge = merge.json(&json!({"shape": {"sides": 3}}));
    merge.await.expect(200);
    let merge = shop.patch(session.at("/attributes"));
    let merge = merge.json(&json!({"shape": {"size": 1}}));
    merge.await.expect(200);
    let color = session.at("/attributes/color");
    shop.put(&color).json(&json!("red")).await.expect(201);
    let n = shop.post(session.at("/attributes/n/increment"));
    n.json(&json!({"by": 2})).await.expect(200);
    let change = shop.patch(session.path());
    change.json(&json!({"device": "web"})).await.expect(200);
    let refresh = shop.post(session.at("/refresh"));
    refresh.json(&json!({})).await.expect(200);
    shop.post(session.at("/heartbeat")).await.expect(200);
    let verify = shop.post("/v1/tokens/verify");
    let verified = verify.json(&json!({"token": session.token})).await;
    let verified = verified.value(200)["session"].clone();
    let rotate = shop.post("/v1/tokens/rotate");
    let rotated = rotate
        .json(&json!({"token": session.token}))
        .await
        .value(200);
    assert_eq!(rotated["session"]["attributes"], verified["attributes"]);
    let attributes = json!({"color": "red", "n": 2, "shape": {"sides": 3, "size": 1}});
    assert_eq!(verified["attributes"], attributes);
    assert_eq!(shop.get(&color).await.value(200), "red");
    shop.delete(color).await.expect(204);
}

async fn read(shop: &Client, login: &str, session: &Opened) {
    let read = shop.get(session.path()).await.value(200);
    let attributes = shop.get(session.at("/attributes")).await.value(200);
    assert_eq!(read["attributes"], attributes["attributes"]);
    for path in [
        format!("/v1/logins/{login}/sessions"),
        format!("/v1/sessions?login_id={login}&service_id=shop"),
        "/v1/sessions?state=active".to_owned(),
    ] {
        let listed = shop.get(&path).await.value(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{path}");
    }
    let summary = shop.get(format!("/v1/logins/{login}")).await.value(200);
    assert_eq!(summary["devices"], json!(["web"]));
}

async fn know_the_user(shop: &Client, login: &str) {
    let path = format!("/v1/logins/{login}/profile");
    let known = json!({"profile": {"name": login}, "ttl_seconds": 60});
    let put = shop.put(&path).json(&known).await.value(200);
    assert_eq!(put, known);
    let read = shop.get(&path).await.value(200);
    assert_eq!(read["profile"], known["profile"]);
    shop.delete(&path).await.expect(204);
    shop.get(&path).await.expect(404);
}

/// Tokens that were brought, and the ways to end a single session.
async fn end_one_by_one(shop: &Client, login: &str) {
    let token = format!("a-token-of-a-login-framework-for-{login}");
    let brought = open(shop, json!({"login_id": login, "token": token})).await;
    let form = format!("token={token}");
    let introspect = shop.post("/v1/tokens/introspect");
    let told = introspect.text(FORM, form.clone()).await.value(200);
    assert_eq!(told["sub"], login);
    let revoke = shop.post("/v1/tokens/revoke");
    revoke.text(FORM, form).await.expect(200);
    shop.get(brought.path()).await.expect(410);
    let own = open(shop, json!({"login_id": login})).await;
    shop.delete(own.path()).await.expect(204);
    shop.get(own.path()).await.expect(410);
}
