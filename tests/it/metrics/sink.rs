//! A collector of OpenTelemetry, as small as it can be: it keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::DEADLINE;
use crate::support::redis::eventually;

/// A running collector.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    bodies: Bodies,
    _served: AbortOnDropHandle<()>,
}

type Bodies = Arc<Mutex<Vec<Bytes>>>;

async fn take(State(bodies): State<Bodies>, body: Bytes) {
    bodies.lock().unwrap().push(body);
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let bodies = Bodies::default();
        let routes = Router::new().route("/v1/traces", post(take));
        let routes = routes.with_state(Arc::clone(&bodies));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            address,
            bodies,
            _served: AbortOnDropHandle::new(served),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` says of it.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that was sent, as it was sent.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.bodies.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.bodies().into_iter();
        bodies
            .map(|body| ExportTraceServiceRequest::decode(body).unwrap())
            .collect()
    }

    /// All spans so far.
    pub(super) fn spans(&self) -> Vec<Span> {
        let requests = self.requests().into_iter();
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The name of the service whose spans these are.
    pub(super) fn service(&self) -> String {
        let request = self.requests().remove(0);
        let resource = request.resource_spans[0].resource.clone().unwrap();
        let name = resource.attributes.iter();
        let mut name = name.filter(|attribute| attribute.key == "service.name");
        match name.next().unwrap().value.clone().unwrap().value.unwrap() {
            Value::StringValue(name) => name,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a span of this name.
    pub(super) async fn span(&self, name: &str) -> Span {
        let find = || self.spans().into_iter().find(|span| span.name == name);
        eventually(DEADLINE, || async { find().is_some() }).await;
        find().unwrap()
    }
}
