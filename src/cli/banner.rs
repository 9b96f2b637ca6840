//! What people see when the gateway starts.

use std::net::SocketAddr;

use super::health::reachable;
use crate::config::Config;
use crate::model::token::ServiceSecret;
use crate::telemetry::log::LogFormat;

/// Tells on stderr where the gateway is, and the admin secret if it was made just now: it is never shown again.
pub(super) fn show(
    config: &Config,
    bound: SocketAddr,
    metrics: Option<SocketAddr>,
    made: Option<&ServiceSecret>,
) {
    let url = format!("http://{}", reachable(bound));
    let metrics = format!("http://{}/metrics", reachable(metrics.unwrap_or(bound)));
    let store = &config.store.location;
    match config.log.format {
        LogFormat::Text => eprintln!(
            "session-gateway {}\n  \
               listening on  {url}\n  \
               API browser   {url}/docs\n  \
               metrics       {metrics}\n  \
               store         {store}",
            env!("CARGO_PKG_VERSION"),
        ),
        LogFormat::Json => tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            server.url = url,
            server.store = %store,
            server.metrics = metrics,
            "listening"
        ),
    }
    if let Some(secret) = made {
        eprintln!("{}", first_steps(&url, secret));
    }
}

fn first_steps(url: &str, secret: &ServiceSecret) -> String {
    let secret = secret.expose();
    format!(
        "\nThis is the first start, so a secret was made for the built-in service `admin`. It is shown only now; the \
         store keeps its hash. Paste this into another terminal:\n\n  \
           export SGW_ADMIN_SECRET={secret}\n  \
           curl -u \"admin:$SGW_ADMIN_SECRET\" {url}/v1/whoami\n  \
           session-gateway service --url {url} add shop --permission 'session.*' --permission 'attribute.*'\n  \
           curl -u \"admin:$SGW_ADMIN_SECRET\" {url}/v1/sessions -H 'Content-Type: application/json' \\\n    \
             -d '{{\"login_id\": \"user123\", \"device\": \"web\"}}'\n"
    )
}
