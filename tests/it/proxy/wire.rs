//! Questions byte by byte, as they come over a socket, and the connection after them.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::real::listen;
use super::{gateway, over_losable};
use crate::support::{TestApp, open};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// A connection on which one question follows the other.
struct Connection(TcpStream);

impl Connection {
    async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The head of the next answer, which has no body.
    async fn answer(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(DEADLINE, self.0.read_u8()).await;
            head.push(byte.expect("an answer").expect("a whole answer"));
        }
        String::from_utf8(head).unwrap()
    }

    #[track_caller]
    fn ask(&mut self, question: String, status: u16) -> impl Future<Output = String> {
        let place = std::panic::Location::caller();
        async move {
            self.send(&question).await;
            let answer = self.answer().await;
            let wanted = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&wanted), "{place}: {answer}");
            answer
        }
    }
}

/// A gateway on a socket that trusts this machine, with one session.
async fn gateway_on_socket() -> (TestApp, SocketAddr, String) {
    let app = gateway();
    let new = json!({"login_id": "ana", "attributes": {"role": "admin"}});
    let token = open(&app.admin(), new).await.token;
    let (state, _store) = over_losable(&app, "127.0.0.1");
    let (address, _serving) = listen(state).await;
    (app, address, token)
}

/// `net/http` of Go writes the host, the user agent, then all other headers by name; Traefik's `writeHeader` in
/// `pkg/middlewares/auth/forward.go` adds `X-Forwarded-*`, and its method is GET.
fn traefik(token: &str, method: &str, path: &str) -> String {
    format!(
        "GET /auth/forward?require=role:admin&login_url=https://login.example.com/ HTTP/1.1\r\n\
         Host: gateway.internal:8080\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n\
         Authorization: Bearer {token}\r\nCookie: lang=de\r\nX-Forwarded-For: 203.0.113.7\r\n\
         X-Forwarded-Host: app.example.com\r\nX-Forwarded-Method: {method}\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Uri: {path}\r\nAccept-Encoding: gzip\r\n\r\n"
    )
}

/// With `preserveRequestMethod` Traefik asks with the client's method, and Go sends the length of no body.
fn traefik_with_method(token: &str, method: &str) -> String {
    traefik(token, method, "/")
        .replacen("GET", method, 1)
        .replace(
            "User-Agent: Mozilla/5.0\r\n",
            "User-Agent: Mozilla/5.0\r\nContent-Length: 0\r\n",
        )
}

/// `RawHttpClientImpl::check` of Envoy sends method, host and path of the client behind the prefix, a length of zero,
/// the headers that are allowed, and what its HTTP client adds.
fn envoy(token: &str, method: &str, path: &str) -> String {
    format!(
        "{method} /auth/envoy{path} HTTP/1.1\r\nhost: app.example.com\r\ncontent-length: 0\r\n\
         authorization: Bearer {token}\r\nx-envoy-internal: true\r\nx-forwarded-for: 10.0.0.9\r\n\
         x-envoy-expected-rq-timeout-ms: 1000\r\n\r\n"
    )
}

#[tokio::test]
async fn traefik_is_answered_in_its_words() {
    let (_app, address, token) = gateway_on_socket().await;
    let mut connection = Connection::to(address).await;
    for method in ["GET", "POST", "DELETE"] {
        let answer = connection
            .ask(traefik(&token, method, "/cart?id=1"), 200)
            .await;
        assert!(answer.contains("x-auth-login-id: ana\r\n"), "{answer}");
    }
    let answer = connection
        .ask(traefik_with_method(&token, "POST"), 200)
        .await;
    assert!(answer.contains("x-auth-attr-role: admin\r\n"), "{answer}");
    let answer = connection
        .ask(traefik("junk", "GET", "/cart?id=1"), 302)
        .await;
    let location = "location: https://login.example.com/?return_to=https%3A%2F%2Fapp.example.com%2Fcart%3Fid%3D1\r\n";
    assert!(answer.contains(location), "{answer}");
    let answer = connection.ask(traefik("junk", "POST", "/cart"), 401).await;
    assert!(
        answer.contains("x-auth-reason: token_invalid\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn envoy_is_answered_whatever_the_path_of_its_client() {
    let (_app, address, token) = gateway_on_socket().await;
    let mut connection = Connection::to(address).await;
    for path in [
        "/",
        "/cart?require=a:b&login_url=x",
        "/%ff/%",
        "//",
        "/auth/nginx",
        "/v1/sessions",
        "/a{b}|c",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"] {
            connection.ask(envoy(&token, method, path), 200).await;
            connection.ask(envoy("junk", method, path), 401).await;
        }
    }
}

#[tokio::test]
async fn a_connection_outlives_bodies_that_nobody_reads() {
    let (_app, address, token) = gateway_on_socket().await;
    let mut connection = Connection::to(address).await;
    for path in ["/auth/nginx", "/auth/forward", "/auth/envoy/upload"] {
        for (token, status) in [(token.as_str(), 200), ("junk", 401)] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nx-session-token: {token}\r\n");
            let large = "x".repeat(100_000);
            connection
                .ask(
                    format!("{head}content-length: 100000\r\n\r\n{large}"),
                    status,
                )
                .await;
            connection
                .ask(
                    format!("{head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
                    status,
                )
                .await;
            // The answer does not wait for the body.
            connection
                .ask(format!("{head}content-length: 10\r\n\r\n12345"), status)
                .await;
            connection.send("67890").await;
            connection.ask(format!("{head}\r\n"), status).await;
        }
    }
}

#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_gets_the_answer_at_once() {
    let (_app, address, token) = gateway_on_socket().await;
    for (token, status) in [(token.as_str(), 200), ("junk", 401)] {
        let mut connection = Connection::to(address).await;
        let question = format!(
            "PUT /auth/forward HTTP/1.1\r\nhost: a\r\nx-session-token: {token}\r\nexpect: 100-continue\r\n\
             content-length: 5\r\n\r\n"
        );
        connection.ask(question, status).await;
    }
}

#[tokio::test]
async fn a_head_up_to_the_limits_is_a_question_like_any_other() {
    let (_app, address, token) = gateway_on_socket().await;
    let mut connection = Connection::to(address).await;
    let path = format!("/{}", "a".repeat(8 * 1024 - "/auth/envoy/".len()));
    connection.ask(envoy(&token, "GET", &path), 200).await;
    let cookies =
        "cookie: other=x\r\n".repeat(100) + &format!("cookie: c={}\r\n", "x".repeat(14_000));
    let question =
        format!("GET /auth/nginx HTTP/1.1\r\nhost: a\r\n{cookies}cookie: sid={token}\r\n\r\n");
    connection.ask(question, 200).await;
}
