use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use session_gateway::gateway::GatewayError;
use session_gateway::http::app::with_middleware;
use session_gateway::http::error::ApiError;
use session_gateway::http::middleware::RequestWatcher;
use session_gateway::store::StoreError;
use tracing::Level;

use crate::support::Client;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

async fn lose_the_store() -> Result<(), ApiError> {
    let cause = "connection to 10.0.0.7 refused".into();
    Err(GatewayError::from(StoreError::Unavailable(cause)).into())
}

/// What is logged at this level while a path is asked for.
async fn logged(level: Level, path: &str) -> Vec<String> {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let routes = Router::new()
        .route("/store/{name}", get(lose_the_store))
        .route("/teapot/{name}", get(|| async { StatusCode::IM_A_TEAPOT }));
    let client = Client::in_process(with_middleware(routes, &RequestWatcher::default()));
    client.get(path).header("x-request-id", "r-1").await;
    written.lines()
}

#[tokio::test]
async fn the_cause_of_a_failure_is_logged_once_with_its_request() {
    let lines = logged(Level::INFO, "/store/somebody?secret=hunter2").await;
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    for part in [
        "WARN",
        "connection to 10.0.0.7 refused",
        "request.id=\"r-1\"",
        "http.route=\"/store/{name}\"",
        "http.response.status_code=503",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(
        !line.contains("somebody") && !line.contains("hunter2"),
        "{line}"
    );
}

#[tokio::test]
async fn what_is_the_callers_fault_is_logged_for_debugging_only() {
    assert_eq!(logged(Level::INFO, "/teapot/x").await, [""; 0]);
    assert_eq!(logged(Level::DEBUG, "/teapot/x").await.len(), 1);
}
