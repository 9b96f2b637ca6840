//! One request to the loader: bounded in time and size, to the configured host and no other.
//!
//! No redirect is followed and no proxy of the environment is asked. What the loader answers is a profile, that there
//! is no such user, or a failure, which says nothing about the user.

use std::io;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::settings::{LoaderSettings, LoaderUrl};
use super::signature::SigningKey;
use crate::certificates::{CaFileError, read_ca_file};
use crate::http::error::with_causes;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::profile::{InvalidDetails, MAX_DETAILS_BYTES, UserDetails};

/// The most bytes of an answer, which may be a profile with white space in it.
const MAX_ANSWER_BYTES: usize = 2 * MAX_DETAILS_BYTES;

/// The most bytes of the head of an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Requests to the loader at a time; more wait, within their deadline.
const ABREAST: usize = 64;

/// Connections that are kept for the next request, and how long.
const IDLE_CONNECTIONS: usize = 16;
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no loader.
#[derive(Debug, Error)]
pub enum OpenLoaderError {
    /// The file of trusted certificates gives nothing.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The machine trusts nobody.
    #[error("the certificates that this machine trusts cannot be read: {0}")]
    Machine(#[source] io::Error),
    /// The TLS library does not start.
    #[error("TLS does not start: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a request to the loader came to nothing.
#[derive(Debug, Error)]
pub(super) enum LoadFailure {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("no request can be made of it")]
    Request(#[source] axum::http::Error),
    #[error("the request cannot be signed")]
    Unsigned(#[from] hmac::digest::InvalidLength),
    #[error("no answer")]
    NoAnswer(#[source] hyper_util::client::legacy::Error),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it answers something else than application/json without Content-Encoding")]
    MediaType,
    #[error("it answers more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("its answer broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("it answers no profile")]
    NotAProfile(#[from] InvalidDetails),
}

/// Asks for profiles.
#[derive(Debug)]
pub(super) struct Loader {
    url: LoaderUrl,
    key: Option<SigningKey>,
    timeout: Duration,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    turns: Semaphore,
}

impl Loader {
    pub(super) fn open(settings: &LoaderSettings) -> Result<Self, OpenLoaderError> {
        let tls = tls(settings)?;
        if settings.key.is_none() {
            tracing::warn!(
                "without SGW_PROFILE_LOADER_SECRET the loader of profiles cannot know who asks"
            );
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(connector);
        Ok(Self {
            url: settings.url.clone(),
            key: settings.key.clone(),
            timeout: settings.timeout,
            client,
            turns: Semaphore::new(ABREAST),
        })
    }

    /// How long a request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What is known of a user, if there is one, within the timeout. No two requests have the same random bytes.
    pub(super) async fn load(
        &self,
        login_id: &LoginId,
        random: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<UserDetails>, LoadFailure> {
        let request = self.request(login_id, random, now)?;
        let asked = tokio::time::timeout(self.timeout, self.ask(request));
        asked
            .await
            .unwrap_or(Err(LoadFailure::TimedOut(self.timeout)))
    }

    async fn ask(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> Result<Option<UserDetails>, LoadFailure> {
        let _turn = self.turns.acquire().await;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(LoadFailure::NoAnswer)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            other => return Err(LoadFailure::Status(other)),
        }
        if !is_json(answer.headers()) {
            return Err(LoadFailure::MediaType);
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
        let body = body.await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                LoadFailure::TooLong
            } else {
                LoadFailure::Broken(error)
            }
        })?;
        Ok(Some(UserDetails::parse(&body.to_bytes())?))
    }

    fn request(
        &self,
        login_id: &LoginId,
        random: &[u8; 16],
        now: Timestamp,
    ) -> Result<Request<Empty<Bytes>>, LoadFailure> {
        let uri = self.url.of(login_id);
        let uri = uri.map_err(|error| LoadFailure::Request(error.into()))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::get(&uri)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(
                header::USER_AGENT,
                HeaderValue::from_static("session-gateway"),
            );
        if let Some(key) = &self.key {
            let signed = key.sign(random, now, target)?;
            request = request
                .header("webhook-id", signed.id)
                .header("webhook-timestamp", signed.timestamp)
                .header("webhook-signature", signed.mac);
        }
        request.body(Empty::new()).map_err(LoadFailure::Request)
    }
}

impl LoadFailure {
    /// The failure and its causes, in one line.
    pub(super) fn told(&self) -> String {
        with_causes(self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Whom the loader must be signed by. A loader that is asked in the clear proves nothing.
fn tls(settings: &LoaderSettings) -> Result<ClientConfig, OpenLoaderError> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?;
    let builder = match &settings.ca_file {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None if settings.url.is_secure() => builder
            .with_native_roots()
            .map_err(OpenLoaderError::Machine)?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn authorities(path: &Path) -> Result<RootCertStore, OpenLoaderError> {
    let (_, certificates) = read_ca_file(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
}
