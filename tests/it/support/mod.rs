//! What the tests share: [`TestApp`] in process, [`Gateway`] as the real program, and one [`Client`] for both.

mod app;
mod client;
mod gateway;

pub(crate) use app::TestApp;
pub(crate) use client::Client;
pub(crate) use gateway::{ADMIN_SECRET, Gateway, Launch};

use serde_json::json;

/// Registers a service by one client, and returns another that calls as it.
async fn register(
    admin: &Client,
    nobody: &Client,
    service_id: &str,
    permissions: &[&str],
) -> Client {
    let wanted = json!({
        "service_id": service_id,
        "service_name": service_id,
        "permissions": permissions,
    });
    let made = admin.post("/v1/services").json(&wanted).await.expect(201);
    let secret = made.json()["secret"].clone();
    nobody.as_service(service_id, secret.as_str().unwrap())
}
