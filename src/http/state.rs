//! What every request can reach.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use super::middleware::RequestWatcher;
use super::proxy::{ProxyAuth, ProxySettings};
use crate::gateway::auth::Operators;
use crate::gateway::{self, Gateway};
use crate::model::network::Networks;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

/// Shared by all requests.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Shared>);

/// What [`AppState`] leads to.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Does what is asked.
    pub gateway: Gateway,
    /// Speaks with reverse proxies.
    pub proxy_auth: Arc<ProxyAuth>,
    /// Who may see how this node is.
    pub operators: Arc<Operators>,
    /// Set while the server drains.
    pub draining: Draining,
    /// What is told at `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Where traces go.
    pub traces: Traces,
}

impl AppState {
    /// In front of this gateway, with no settings for reverse proxies.
    #[must_use]
    pub fn new(gateway: Gateway) -> Self {
        let authenticator = || Arc::clone(&gateway.authenticator);
        Self(Arc::new(Shared {
            metrics: Arc::new(gateway::metrics::of(&gateway)),
            proxy_auth: Arc::new(ProxyAuth::new(authenticator(), ProxySettings::default())),
            operators: Arc::new(Operators {
                authenticator: authenticator(),
                networks: Networks::default(),
            }),
            draining: Draining::default(),
            traces: Traces::default(),
            gateway,
        }))
    }

    /// The same with traces that go there.
    #[must_use]
    pub fn with_traces(&self, traces: Traces) -> Self {
        Self(Arc::new(Shared {
            traces,
            ..Shared::clone(self)
        }))
    }

    /// The same with networks from which anybody may see how this node is.
    #[must_use]
    pub fn with_operators_at(&self, networks: Networks) -> Self {
        let authenticator = Arc::clone(&self.gateway.authenticator);
        Self(Arc::new(Shared {
            operators: Arc::new(Operators {
                authenticator,
                networks,
            }),
            ..Shared::clone(self)
        }))
    }

    /// The same with these settings for reverse proxies.
    #[must_use]
    pub fn with_proxies(&self, settings: ProxySettings) -> Self {
        let proxy_auth = ProxyAuth::new(Arc::clone(&self.gateway.authenticator), settings);
        Self(Arc::new(Shared {
            proxy_auth: Arc::new(proxy_auth),
            ..Shared::clone(self)
        }))
    }

    /// What watches every request.
    #[must_use]
    pub fn watcher(&self) -> RequestWatcher {
        RequestWatcher {
            requests: Arc::clone(&self.metrics.requests),
            traces: self.traces.clone(),
        }
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<AppState> for Arc<ProxyAuth> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.proxy_auth)
    }
}

/// Whether the server is on its way out: it still answers, but is not ready for more.
#[derive(Debug, Clone, Default)]
pub struct Draining(CancellationToken);

impl Draining {
    /// Begins to drain; there is no way back.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it has begun. What would answer for ever ends then.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}
