//! The bare peer: an axum handler that answers what the gateway answers, and looks nothing up.
//!
//! `bare ADDRESS`, with the headers of its answers on stdin, one `name: value` a line.

use std::error::Error;
use std::io::read_to_string;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::get;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("no address")?;
    let mut headers = HeaderMap::new();
    for line in read_to_string(std::io::stdin())?.lines() {
        let (name, value) = line.split_once(": ").ok_or("no header")?;
        headers.insert(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
    }
    let app = Router::new().route(
        "/auth/nginx",
        get(move || std::future::ready(headers.clone())),
    );
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
