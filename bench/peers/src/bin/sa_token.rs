//! axum with sa-token-rust and its storage in Redis: `sa_token ADDRESS REDIS_URL`.
//!
//! The settings are its defaults, and its own layer checks the token.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::{get, post};
use sa_token_plugin_axum::{LoginIdExtractor, RedisStorage, SaTokenLayer, SaTokenState, StpUtil};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("no address")?;
    let storage = RedisStorage::new(&arguments.next().ok_or("no Redis")?, "").await?;
    let state = SaTokenState::builder().storage(Arc::new(storage)).build();
    let app = Router::new()
        .route("/login", post(log_in))
        .route("/check", get(check))
        .layer(SaTokenLayer::new(state));
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}

/// Answers a token for the login id that is the query.
async fn log_in(RawQuery(login_id): RawQuery) -> Result<String, (StatusCode, String)> {
    let login_id = login_id.unwrap_or_default();
    match StpUtil::login(login_id).await {
        Ok(token) => Ok(token.to_string()),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

async fn check(LoginIdExtractor(login_id): LoginIdExtractor) -> [(&'static str, String); 1] {
    [("x-auth-login-id", login_id)]
}
