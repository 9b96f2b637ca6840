//! The application in process, called from this machine: no socket, a store in memory, and a clock that the test moves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ConnectInfo;
use session_gateway::clock::{Clock, SettableClock};
use session_gateway::config::Config;
use session_gateway::gateway::profile::Profiles;
use session_gateway::gateway::{AdminCredential, Gateway};
use session_gateway::http::app::app;
use session_gateway::http::state::AppState;
use session_gateway::model::Timestamp;
use session_gateway::model::token::CredentialHash;
use session_gateway::store::embedded::EmbeddedStore;

use super::client::Client;
use super::gateway::ADMIN_SECRET;

/// 2026-01-31T08:00:00Z, where every test begins.
const START: Timestamp = Timestamp::from_millis(1_769_846_400_000);

/// One gateway, with the built-in service under [`ADMIN_SECRET`].
pub(crate) struct TestApp {
    /// Time as the gateway and its store see it.
    pub(crate) clock: Arc<SettableClock>,
    /// What its handlers share.
    pub(crate) state: AppState,
    nobody: Client,
}

impl TestApp {
    /// With the settings as they are by default.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With some settings changed. The store is `memory:` whatever they say.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let all = variables.iter().copied().chain([("SGW_STORE", "memory:")]);
        let config = Config::from_variables(all).unwrap();
        let clock = Arc::new(SettableClock::at(START));
        let settings = config.store.embedded();
        let stores =
            EmbeddedStore::in_memory(settings, Arc::<SettableClock>::clone(&clock)).unwrap();
        let admin = AdminCredential(Some(CredentialHash::of(ADMIN_SECRET.as_bytes())));
        let profiles = Profiles::open(&stores, &config.profiles).unwrap();
        let gateway = Gateway::new(stores, config.lifetimes, admin)
            .with_session_limit(config.session_limit)
            .with_followers(config.event_followers)
            .with_quotas(config.quotas)
            .with_profiles(profiles);
        let state = AppState::new(gateway)
            .with_proxies(config.proxies)
            .with_operators_at(config.listener.metrics_allow);
        let here = SocketAddr::from(([127, 0, 0, 1], 54_321));
        let router = app(state.clone()).layer(Extension(ConnectInfo(here)));
        let nobody = Client::in_process(router);
        Self {
            clock,
            state,
            nobody,
        }
    }

    /// Calls without credentials.
    pub(crate) fn nobody(&self) -> Client {
        self.nobody.clone()
    }

    /// Calls as the built-in service, which may do everything.
    pub(crate) fn admin(&self) -> Client {
        self.nobody.as_service("admin", ADMIN_SECRET)
    }

    /// Registers a service with these permissions and calls as it.
    pub(crate) async fn service(&self, service_id: &str, permissions: &[&str]) -> Client {
        super::register(&self.admin(), &self.nobody, service_id, permissions).await
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// The present moment, as answers write it.
    pub(crate) fn now_text(&self) -> String {
        self.clock.now().to_string()
    }

    /// Whole seconds from now until a moment in an answer.
    #[track_caller]
    pub(crate) fn seconds_until(&self, moment: &serde_json::Value) -> i64 {
        let moment = Timestamp::parse(moment.as_str().unwrap()).unwrap();
        (moment.millis() - self.clock.now().millis()) / 1_000
    }

    /// Sweeps until nothing is due.
    pub(crate) async fn sweep(&self) {
        while self.state.gateway.stores.sessions.sweep().await.unwrap() {}
    }
}
