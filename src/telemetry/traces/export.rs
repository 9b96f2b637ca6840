//! Sends spans to a collector, by OTLP over HTTP in its binary form.
//!
//! The settings are the standard ones of OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`,
//! `OTEL_TRACES_SAMPLER` and others), which its SDK reads by itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::crypto::ring::default_provider;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Traces;

/// What the traces are of, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "session-gateway";

/// How long the collector may take for one batch.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long the last batch may take at shutdown.
const LAST_DEADLINE: Duration = Duration::from_secs(2);

/// Why spans cannot be sent.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The certificates that the machine trusts cannot be read.
    #[error("the certificates that this machine trusts cannot be read: {0}")]
    Certificates(#[source] io::Error),
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] ExporterBuildError),
}

/// Sends spans in batches, from a thread of its own.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Starts it in the present runtime, over which it sends.
    pub fn start() -> Result<(Traces, Self), ExportError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(default_provider())
            .map_err(ExportError::Certificates)?
            .https_or_http()
            .enable_http1()
            .build();
        let client = RuntimeClient {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime: Handle::current(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        let tracer = provider.tracer(SERVICE);
        Ok((Traces(Some(Arc::new(tracer))), Self(provider)))
    }

    /// Sends what is left.
    pub async fn stop(self) {
        let Self(provider) = self;
        let stopping =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_DEADLINE));
        match stopping.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not sent"),
            Err(error) => tracing::warn!(%error, "the last traces were not sent"),
        }
    }
}

/// What the spans are of, as the environment tells.
fn resource() -> Resource {
    let told = Resource::builder().build();
    let name = told.get(&Key::from_static_str("service.name"));
    let unknown = name.is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let resource = if unknown {
        Resource::builder().with_service_name(SERVICE)
    } else {
        Resource::builder()
    };
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    resource.with_attribute(version).build()
}

/// Sends over the runtime, whatever thread asks.
#[derive(Debug)]
struct RuntimeClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for RuntimeClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.request(request.map(Full::new));
        let whole = async move {
            let (head, body) = answer.await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        // A timer, like the connection, belongs to the runtime.
        let exchange = async move { timeout(DEADLINE, whole).await? };
        self.runtime.spawn(exchange).await?
    }
}
