//! The service that calls the gateway, and what it is told of sessions that it opens.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::gateway::SECRET;
use crate::http::Connection;

/// A session that was opened.
#[derive(Deserialize)]
pub(crate) struct Opened {
    pub(crate) session: OpenedId,
    pub(crate) token: String,
}

#[derive(Deserialize)]
pub(crate) struct OpenedId {
    pub(crate) session_id: String,
}

/// A service as most callers are: looked up in the store.
pub(crate) async fn register(address: SocketAddr) -> String {
    #[derive(Deserialize)]
    struct Registered {
        secret: String,
    }
    let mut admin = Connection::open(address, "admin", SECRET).await;
    let service = r#"{"service_id":"bench","service_name":"Benchmark","permissions":["*"]}"#;
    let body = admin
        .call("POST", "/v1/services", service, 201)
        .await
        .unwrap();
    serde_json::from_slice::<Registered>(body).unwrap().secret
}
