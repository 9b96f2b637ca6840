//! `serve`: puts the parts together, tells that it is there, and brings everything to an end when it is told to.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::banner;
use super::reload::Reload;
use crate::certificates::{Authorities, TrustError};
use crate::clock::{Machine, SteadyClock};
use crate::config::{Config, StoreLocation, StoreSettings};
use crate::gateway::auth::ensure_admin;
use crate::gateway::profile::Profiles;
use crate::gateway::{AdminCredential, Gateway, GatewayError};
use crate::http::app::{app, app_and_metrics};
use crate::http::state::{AppState, Draining};
use crate::model::token::ServiceSecret;
use crate::outbound::{Client, ClientSettings};
use crate::server::{Asked, Deadlines, Drained, ServerSettings, Signals, bind, serve, sweep_until};
use crate::store::embedded::EmbeddedStore;
use crate::store::redis::RedisStore;
use crate::store::{Cause, Stores};
use crate::telemetry::log::{self, LogLevels, with_causes};
use crate::telemetry::panics;
use crate::telemetry::traces::{Exporter, ExporterBuildError, Traces};

/// How long tasks and threads that are still at work at the very end may take.
const LAST_DEADLINE: Duration = Duration::from_secs(2);

/// How long the collector of traces may take for one batch.
const TRACES_DEADLINE: Duration = Duration::from_secs(10);

/// The most bytes that the collector may answer: it tells how many spans it did not take, and why.
const MAX_COLLECTOR_BYTES: usize = 64 * 1024;

/// Why the gateway does not run, in one line.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The store cannot be opened.
    #[error("SGW_STORE: {location} does not open: {}", with_causes(source.as_ref()))]
    Store {
        /// Which store.
        location: StoreLocation,
        /// What stands against it.
        source: Cause,
    },
    /// The loader of profiles cannot be asked.
    #[error("SGW_PROFILE_LOADER_URL: its certificates cannot be checked: {}", with_causes(.0))]
    Loader(#[source] TrustError),
    /// The built-in service cannot be looked up or made.
    #[error("the built-in service `admin` cannot be set up: {}", with_causes(.0))]
    Admin(#[source] GatewayError),
    /// The address cannot be listened on.
    #[error("{variable}: cannot listen on {address}: {source}")]
    Listen {
        /// Which setting names it.
        variable: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime or its signals do not start.
    #[error("the runtime does not start: {0}")]
    Runtime(#[source] io::Error),
    /// The log is in use already.
    #[error("the log does not start: {0}")]
    Telemetry(#[from] tracing_subscriber::util::TryInitError),
    /// The collector of traces cannot be trusted.
    #[error("traces cannot be sent: {}", with_causes(.0))]
    Collector(#[source] TrustError),
    /// A setting of traces is wrong.
    #[error("traces cannot be sent: {}", with_causes(.0))]
    Traces(#[from] ExporterBuildError),
    /// A second signal came while the first was being obeyed.
    #[error("stopped at once, by a second signal")]
    Interrupted,
}

async fn open_stores(settings: &StoreSettings, traces: Traces) -> Result<Stores, ServeError> {
    let clock = Arc::new(SteadyClock::new(Machine));
    let opened: Result<Stores, Cause> = match &settings.location {
        StoreLocation::Memory => {
            EmbeddedStore::in_memory(settings.embedded(), clock).map_err(Into::into)
        }
        StoreLocation::Embedded(directory) => {
            EmbeddedStore::open(directory, settings.embedded(), clock).map_err(Into::into)
        }
        StoreLocation::Redis(url) => RedisStore::open(settings.redis(url))
            .await
            .map_err(Into::into),
    };
    let stores = opened.map_err(|source| ServeError::Store {
        location: settings.location.clone(),
        source,
    })?;
    let stores = stores.observed(traces);
    Ok(match settings.cache {
        Some(cache) => stores.cached(cache),
        None => stores,
    })
}

pub(super) fn run(config: &Config) -> Result<(), ServeError> {
    let levels = log::init(&config.log)?;
    panics::install_hook();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(ServeError::Runtime)?;
    let outcome = runtime.block_on(run_until_told(config, levels));
    runtime.shutdown_timeout(LAST_DEADLINE);
    outcome
}

async fn run_until_told(config: &Config, levels: LogLevels) -> Result<(), ServeError> {
    let signals = Signals::listen().map_err(ServeError::Runtime)?;
    let (traces, exporter) = start_traces(config.sends_traces)?;
    let outcome = run_traced(config, levels, signals, traces).await;
    if let Some(exporter) = exporter {
        exporter.stop().await;
    }
    outcome
}

fn start_traces(wanted: bool) -> Result<(Traces, Option<Exporter>), ServeError> {
    if !wanted {
        return Ok((Traces::default(), None));
    }
    let client = Client::open(&ClientSettings {
        authorities: Authorities::Machine,
        deadline: TRACES_DEADLINE,
        max_body_bytes: MAX_COLLECTOR_BYTES,
    });
    let client = Arc::new(client.map_err(ServeError::Collector)?);
    let send = move |request| {
        let client = Arc::clone(&client);
        async move { Ok(client.send(request).await?) }
    };
    let (traces, exporter) = Exporter::start(send)?;
    Ok((traces, Some(exporter)))
}

async fn run_traced(
    config: &Config,
    levels: LogLevels,
    signals: Signals,
    traces: Traces,
) -> Result<(), ServeError> {
    let stores = open_stores(&config.store, traces.clone()).await?;
    let profiles = Profiles::open(&stores, &config.profiles).map_err(ServeError::Loader)?;
    let secret = config.admin_secret.as_ref().map(ServiceSecret::hash);
    let admin = AdminCredential(secret);
    let main = Bound::to("SGW_LISTEN", config.listener.listen)?;
    let metrics = match config.listener.metrics {
        Some(address) => Some(Bound::to("SGW_METRICS_LISTEN", address)?),
        None => None,
    };
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    // A secret that is made must be shown, or nobody ever knows it: nothing that may fail comes in between.
    let made = ensure_admin(&stores, &admin).await;
    let made = made.map_err(ServeError::Admin)?;
    let metrics_address = metrics.as_ref().map(|metrics| metrics.address);
    banner::show(config, main.address, metrics_address, made.as_ref());
    let gateway = Gateway::new(stores, config.lifetimes, admin).with_profiles(profiles);
    let state = state(config, gateway, traces);
    let reload = Reload {
        levels,
        authenticator: Arc::clone(&state.gateway.authenticator),
        running: config.clone(),
    };
    let stop = Stop::watch(signals, state.draining.clone(), reload);
    let served = serve_and_sweep(main, metrics, state, config, stop.first);
    tokio::select! {
        drained = served => log_end(drained),
        () = stop.second.cancelled() => return Err(ServeError::Interrupted),
    }
    Ok(())
}

fn state(config: &Config, gateway: Gateway, traces: Traces) -> AppState {
    let gateway = gateway
        .with_session_limit(config.session_limit)
        .with_followers(config.event_followers)
        .with_quotas(config.quotas);
    AppState::new(gateway)
        .with_proxies(config.proxies.clone())
        .with_operators_at(config.listener.metrics_allow.clone())
        .with_traces(traces)
}

/// A listener, and where it is.
struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    fn to(variable: &'static str, address: SocketAddr) -> Result<Self, ServeError> {
        let listener = bind(address).map_err(|source| ServeError::Listen {
            variable,
            address,
            source,
        })?;
        let address = listener.local_addr().map_err(ServeError::Runtime)?;
        Ok(Self { listener, address })
    }
}

async fn serve_and_sweep(
    main: Bound,
    metrics: Option<Bound>,
    state: AppState,
    config: &Config,
    shutdown: CancellationToken,
) -> Drained {
    let sweeping = CancellationToken::new();
    let _ends_with_serving = sweeping.clone().drop_guard();
    let sessions = state.gateway.stores.sessions.clone();
    let sweep = move || {
        let sessions = sessions.clone();
        async move { sessions.sweep().await }
    };
    tokio::spawn(sweep_until(sweeping, config.store.sweep_interval, sweep));
    let settings = ServerSettings {
        max_connections: config.listener.max_connections,
        max_connections_per_address: config.listener.max_connections_per_address,
        trusted: config.proxies.trusted.clone(),
        drain_delay: config.listener.drain_delay,
        drain_timeout: config.listener.drain_timeout,
        deadlines: Deadlines::default(),
    };
    let shutdown = shutdown.cancelled_owned();
    let Some(metrics) = metrics else {
        return serve([(main.listener.into(), app(state))], settings, shutdown).await;
    };
    let (app, metrics_app) = app_and_metrics(state);
    // The metrics are told until the last request is answered.
    let told = serve(
        [(metrics.listener.into(), metrics_app)],
        settings.clone(),
        pending(),
    );
    let _told_until_the_end = AbortOnDropHandle::new(tokio::spawn(told));
    serve([(main.listener.into(), app)], settings, shutdown).await
}

fn log_end(drained: Drained) {
    match drained {
        Drained::Whole => tracing::info!("stopped; every request was answered"),
        Drained::CutOff(connections) => {
            tracing::warn!(
                connections,
                "stopped; SGW_DRAIN_TIMEOUT was over before these were done"
            );
        }
    }
}

/// What signals ask for: the first to drain, the second to stop at once.
struct Stop {
    first: CancellationToken,
    second: CancellationToken,
}

impl Stop {
    fn watch(mut signals: Signals, draining: Draining, mut reload: Reload) -> Self {
        let stop = Self {
            first: CancellationToken::new(),
            second: CancellationToken::new(),
        };
        let (first, second) = (stop.first.clone(), stop.second.clone());
        tokio::spawn(async move {
            while signals.next().await == Asked::Reload {
                reload.run();
            }
            draining.begin();
            tracing::info!("draining; a second signal stops at once");
            first.cancel();
            while signals.next().await == Asked::Reload {}
            second.cancel();
        });
        stop
    }
}
