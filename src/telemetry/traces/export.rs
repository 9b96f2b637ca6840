//! Sends spans to a collector, by OTLP over HTTP in its binary form.
//!
//! The settings are the standard ones of OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`,
//! `OTEL_TRACES_SAMPLER` and others), which its SDK reads by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

use super::Traces;

/// What the traces are of, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "session-gateway";

/// How long the last batch may take at shutdown.
const LAST_DEADLINE: Duration = Duration::from_secs(2);

/// Sends spans in batches, from a thread of its own.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Starts it in the present runtime, over which it sends; a wrong setting is refused.
    pub fn start<F>(
        send: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    ) -> Result<(Traces, Self), ExporterBuildError>
    where
        F: Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'static,
    {
        let client = RuntimeClient {
            send,
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
struct RuntimeClient<S> {
    send: S,
    runtime: Handle,
}

impl<S> fmt::Debug for RuntimeClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeClient").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S, F> HttpClient for RuntimeClient<S>
where
    S: Fn(Request<Bytes>) -> F + Send + Sync,
    F: Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'static,
{
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // Timers and connections belong to the runtime.
        self.runtime.spawn((self.send)(request)).await?
    }
}
