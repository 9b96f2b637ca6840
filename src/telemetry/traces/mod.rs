//! Traces by OpenTelemetry: a span for each request, which goes on with the trace of its caller (W3C Trace Context), and
//! one for each operation of the store below it.
//!
//! Spans tell routes and names of operations, never paths, ids or credentials. Without an [`Exporter`] nothing of this
//! costs anything.

use std::sync::Arc;

use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

mod export;

pub use export::Exporter;
pub use opentelemetry_otlp::ExporterBuildError;

/// Where spans go, if they go anywhere.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<SdkTracer>>);

/// Something that is under way. Dropped before it [ended](Self::end), it ends without a word.
#[derive(Debug)]
pub struct Span(Context);

impl Traces {
    /// The span of a request, in the trace of its caller if that tells one.
    #[must_use]
    pub fn request(
        &self,
        headers: &HeaderMap,
        method: &Method,
        route: Option<&str>,
    ) -> Option<Span> {
        let tracer = self.0.as_ref()?;
        let told = HeaderExtractor(headers);
        let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &told);
        let method = method.to_string();
        let name = match route {
            Some(route) => format!("{method} {route}"),
            None => method.clone(),
        };
        let route = route.map(|route| KeyValue::new("http.route", route.to_owned()));
        let method = KeyValue::new("http.request.method", method);
        let span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes([method].into_iter().chain(route));
        let span = tracer.build_with_context(span, &caller);
        Some(Span(caller.with_span(span)))
    }

    /// The span of an operation of the store, if it is done for a request that has one.
    #[must_use]
    pub fn operation(&self, name: &'static str) -> Option<Span> {
        let tracer = self.0.as_ref()?;
        let request = Context::current();
        if !request.has_active_span() {
            return None;
        }
        let span = tracer
            .span_builder(format!("store {name}"))
            .with_kind(SpanKind::Client)
            .with_attributes([KeyValue::new("db.operation.name", name)]);
        let span = tracer.build_with_context(span, &request);
        Some(Span(request.with_span(span)))
    }
}

impl Span {
    /// Tells how the request was answered.
    pub fn answered(&self, status: StatusCode) {
        let code = i64::from(status.as_u16());
        let code = KeyValue::new("http.response.status_code", code);
        self.0.span().set_attribute(code);
    }

    /// Ends it; whether it failed is about us, not about what was asked.
    pub fn end(self, failed: bool) {
        let span = self.0.span();
        if failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Does what belongs to a span, if there is one.
pub async fn within<T>(span: Option<&Span>, work: impl Future<Output = T>) -> T {
    match span {
        Some(Span(context)) => work.with_context(context.clone()).await,
        None => work.await,
    }
}
