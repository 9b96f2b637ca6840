//! axum with tower-sessions and its store in Redis: `tower_sessions ADDRESS REDIS_URL`.
//!
//! As the documentation of the store sets it up: a pool of 6 connections, expiry on inactivity.

use std::error::Error;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::{get, post};
use fred::prelude::{ClientLike, Config, Pool};
use time::Duration;
use tokio::net::TcpListener;
use tower_sessions::session::Error as SessionError;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;

const LOGIN_ID: &str = "login_id";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("no address")?;
    let redis = Config::from_url(&arguments.next().ok_or("no Redis")?)?;
    let pool = Pool::new(redis, None, None, None, 6)?;
    pool.init().await?;
    let sessions = SessionManagerLayer::new(RedisStore::new(pool))
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::minutes(30)));
    let app = Router::new()
        .route("/login", post(log_in))
        .route("/check", get(check))
        .layer(sessions);
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}

/// Opens a session for the login id that is the query.
async fn log_in(session: Session, RawQuery(login_id): RawQuery) -> Result<(), Failure> {
    session.insert(LOGIN_ID, login_id).await?;
    session.insert("role", "admin").await?;
    session.insert("locale", "en-GB").await?;
    session.insert("plan", "pro").await?;
    Ok(())
}

async fn check(session: Session) -> Result<[(&'static str, String); 1], Failure> {
    let login_id = session.get(LOGIN_ID).await?.ok_or(Failure::NoSession)?;
    Ok([("x-auth-login-id", login_id)])
}

enum Failure {
    NoSession,
    Store(SessionError),
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Store(error)
    }
}

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        match self {
            Self::NoSession => StatusCode::UNAUTHORIZED.into_response(),
            Self::Store(error) => {
                (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
            }
        }
    }
}
