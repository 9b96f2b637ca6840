//! A client for the JSON API, over a socket or straight into the router.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower::ServiceExt;

#[derive(Clone)]
enum Transport {
    InProcess(Router),
    Tcp(SocketAddr, HttpClient<HttpConnector, Body>),
}

/// Calls one gateway as one service, or as nobody.
#[derive(Clone)]
pub(crate) struct Client {
    transport: Transport,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// Without credentials, straight into a router.
    pub(crate) fn in_process(router: Router) -> Self {
        Self {
            transport: Transport::InProcess(router),
            authorization: None,
        }
    }

    /// Without credentials, over a socket. Connections are kept alive and shared by clones.
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        let http = HttpClient::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self {
            transport: Transport::Tcp(address, http),
            authorization: None,
        }
    }

    /// The same gateway, called by this service.
    pub(crate) fn as_service(&self, service_id: &str, secret: &str) -> Self {
        let pair = STANDARD.encode(format!("{service_id}:{secret}"));
        Self {
            transport: self.transport.clone(),
            authorization: Some(HeaderValue::try_from(format!("Basic {pair}")).unwrap()),
        }
    }

    /// The same service, calling the gateway at another address.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self {
            authorization: self.authorization.clone(),
            ..Self::tcp(address)
        }
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: impl Into<String>) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: impl Into<String>) -> Call {
        self.call(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: impl Into<String>) -> Call {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: impl Into<String>) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Any call; `path` with its query, already percent-encoded.
    pub(crate) fn call(&self, method: Method, path: impl Into<String>) -> Call {
        let mut headers = HeaderMap::new();
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        Call {
            transport: self.transport.clone(),
            method,
            path: path.into(),
            headers,
            body: Bytes::new(),
        }
    }
}

/// A request in the making; awaiting it sends it.
#[derive(Clone)]
pub(crate) struct Call {
    transport: Transport,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text("application/json", body.to_string())
    }

    /// A body of any type, sent as it is.
    pub(crate) fn text(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sends it; `None` if the connection breaks before the whole answer is there.
    pub(crate) async fn attempt(self) -> Option<Answer> {
        let (parts, body) = self.begin().await?.into_parts();
        Some(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.ok()?.to_bytes(),
        })
    }

    /// Sends it, and returns when the head of the answer is there.
    pub(crate) async fn begin(self) -> Option<Response<Body>> {
        let uri = match &self.transport {
            Transport::InProcess(_) => self.path.clone(),
            Transport::Tcp(address, _) => format!("http://{address}{}", self.path),
        };
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.parse().expect("a valid URI");
        *request.headers_mut() = self.headers;
        match self.transport {
            Transport::InProcess(router) => {
                let host = HeaderValue::from_static("gateway.test");
                request.headers_mut().entry(header::HOST).or_insert(host);
                Some(router.oneshot(request).await.unwrap())
            }
            Transport::Tcp(_, http) => Some(http.request(request).await.ok()?.map(Body::new)),
        }
    }

    async fn send(self) -> Answer {
        self.attempt().await.expect("a whole answer")
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Asserts the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// Asserts the status and returns the JSON body.
    #[track_caller]
    pub(crate) fn value(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("a body of text")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// Asserts that this is an error of this status and code, with a whole problem document, and returns it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let document = self.json();
        assert_eq!(self.status, status, "{document}");
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(
            document["type"],
            format!("urn:session-gateway:problem:{code}")
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(document["request_id"], self.header("x-request-id"));
        for text in ["title", "detail"] {
            assert!(document[text].as_str().is_some_and(|text| !text.is_empty()));
        }
        document
    }

    /// A header that must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers));
        value.to_str().unwrap()
    }
}
