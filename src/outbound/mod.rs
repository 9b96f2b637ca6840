//! The one HTTP client: whatever this gateway asks of others goes through here.
//!
//! Every request has a deadline, from its turn to the last byte of the answer, and every answer a bound of its size. No
//! redirect is followed and no proxy of the environment is asked, so a request goes to the host of its URL and no other.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::certificates::{Authorities, TrustError, tls_client};

/// The most bytes of the head of an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Requests at a time; more wait, within their deadline.
const MAX_CONCURRENT: usize = 64;

/// Connections to a host that are kept for the next request, and how long: less than servers usually keep theirs, so
/// that a request seldom meets a connection that is just being closed.
const IDLE_CONNECTIONS: usize = 16;
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds of a client.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Whom a server at an https URL must be signed by.
    pub authorities: Authorities,
    /// How long a whole answer may take.
    pub deadline: Duration,
    /// The most bytes of the body of an answer.
    pub max_body_bytes: usize,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// There is no connection, or it ended before an answer.
    #[error("no answer")]
    NoAnswer(#[source] legacy::Error),
    /// The body is larger than it may be.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// The body ended before its end.
    #[error("the answer broke off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// Asks servers, over connections that it keeps.
#[derive(Debug)]
pub struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    deadline: Duration,
    max_body_bytes: usize,
    turns: Arc<Semaphore>,
}

impl Client {
    /// A client without connections.
    pub fn open(settings: &ClientSettings) -> Result<Self, TrustError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.deadline));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_client(&settings.authorities)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(connector);
        Ok(Self {
            http,
            deadline: settings.deadline,
            max_body_bytes: settings.max_body_bytes,
            turns: Arc::new(Semaphore::new(MAX_CONCURRENT)),
        })
    }

    /// How long a whole answer may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Sends a request, and returns when the head of the answer is there.
    pub async fn begin(&self, request: Request<Bytes>) -> Result<Answer, RequestError> {
        let until = Instant::now() + self.deadline;
        let asked = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            // Nobody closes the semaphore, and without it there would still be the deadline.
            (self.http.request(request.map(Full::new)).await, turn.ok())
        };
        let timed = timeout_at(until, asked).await;
        let (answer, turn) = timed.map_err(|_elapsed| RequestError::TimedOut(self.deadline))?;
        let (head, body) = answer.map_err(RequestError::NoAnswer)?.into_parts();
        Ok(Answer {
            head,
            body,
            until,
            deadline: self.deadline,
            max_bytes: self.max_body_bytes,
            _turn: turn,
        })
    }

    /// Sends a request and waits for the whole answer, whatever its status.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, RequestError> {
        self.begin(request).await?.whole().await
    }
}

/// An answer whose body is still to come, within the deadline of its request.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Parts,
    body: Incoming,
    until: Instant,
    deadline: Duration,
    max_bytes: usize,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Answer {
    /// Waits for the next piece of it, whatever the bound; none after the last.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, RequestError> {
        loop {
            let timed = timeout_at(self.until, self.body.frame()).await;
            let frame = timed.map_err(|_elapsed| RequestError::TimedOut(self.deadline))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| RequestError::Broken(error.into()))?;
            // What is no data is a trailer, which nobody sends.
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }

    /// Waits for all of it.
    pub async fn whole(self) -> Result<Response<Bytes>, RequestError> {
        let max_bytes = self.max_bytes;
        let body = Limited::new(self.body, max_bytes).collect();
        let timed = timeout_at(self.until, body).await;
        let body = timed.map_err(|_elapsed| RequestError::TimedOut(self.deadline))?;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                RequestError::TooLong(max_bytes)
            } else {
                RequestError::Broken(error)
            }
        })?;
        Ok(Response::from_parts(self.head, body.to_bytes()))
    }
}
