//! What people see when the gateway starts.

use std::net::SocketAddr;
use std::path::absolute;

use super::first_secret::FirstSecret;
use super::health::reachable;
use crate::config::{Config, StoreLocation, program};
use crate::model::token::ServiceSecret;
use crate::telemetry::log::LogFormat;

/// Where the gateway listens.
pub(super) struct Places<'a> {
    pub(super) main: &'a [SocketAddr],
    /// Empty if metrics are told where everything is.
    pub(super) metrics: &'a [SocketAddr],
}

/// Tells on stderr where the gateway is, and the admin secret if it was made just now: it is never shown again.
pub(super) fn show(config: &Config, places: &Places<'_>, made: Option<&FirstSecret>) {
    let urls = urls(places.main);
    let url = urls.first().map_or("", String::as_str);
    let metrics = self::urls(places.metrics).into_iter().next();
    let metrics = format!("{}/metrics", metrics.as_deref().unwrap_or(url));
    let store = place(&config.store.location);
    match config.log.format {
        LogFormat::Text => eprintln!(
            "session-gateway {}\n  \
               listening on  {}\n  \
               API browser   {url}/docs\n  \
               metrics       {metrics}\n  \
               store         {store}",
            env!("CARGO_PKG_VERSION"),
            urls.join(", "),
        ),
        LogFormat::Json => tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            server.url = url,
            server.store = store,
            server.metrics = metrics,
            "listening"
        ),
    }
    match made {
        None => {}
        Some(FirstSecret::Untold(secret)) => eprintln!("{}", first_steps(url, secret)),
        Some(FirstSecret::InFile(path)) => tracing::warn!(
            file.path = %path.display(),
            "a secret was made for the built-in service admin; it is in this file, and the store keeps its hash"
        ),
    }
}

fn urls(addresses: &[SocketAddr]) -> Vec<String> {
    let urls = addresses.iter().copied().map(reachable);
    urls.map(|address| format!("http://{address}")).collect()
}

/// A store, so that it is found from any directory.
fn place(location: &StoreLocation) -> String {
    match location {
        StoreLocation::Embedded(directory) => {
            let directory = absolute(directory).unwrap_or_else(|_unknown| directory.clone());
            StoreLocation::Embedded(directory).to_string()
        }
        StoreLocation::Memory | StoreLocation::Redis(_) => location.to_string(),
    }
}

fn first_steps(url: &str, secret: &ServiceSecret) -> String {
    let (secret, program) = (secret.expose(), program());
    format!(
        "\nThis is the first start, so a secret was made for the built-in service `admin`. It is shown only now; the \
         store keeps its hash.\nIf it is lost, start again with a new one in SGW_ADMIN_SECRET, which takes its place. \
         Paste this into another terminal:\n\n  \
           export SGW_ADMIN_SECRET={secret}\n  \
           curl -u \"admin:$SGW_ADMIN_SECRET\" {url}/v1/whoami\n  \
           {program} service --url {url} add trial --permission 'session.*' --permission 'attribute.*'\n  \
           curl -u \"admin:$SGW_ADMIN_SECRET\" {url}/v1/sessions -H 'Content-Type: application/json' \\\n    \
             -d '{{\"login_id\": \"user123\", \"device\": \"web\"}}'\n"
    )
}
