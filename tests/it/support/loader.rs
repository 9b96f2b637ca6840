//! A service that knows users: answers as the test wants, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::redis::TestCertificates;
use super::tls::tls_acceptor;

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// How it answers.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// These bytes.
    Answer(Vec<u8>),
    /// These bytes, after a while.
    Late(Duration, Vec<u8>),
    /// These bytes, and then the end of the connection.
    BreakOff(Vec<u8>),
    /// These bytes, and then some again and again.
    Endless(Vec<u8>),
    /// These bytes, and then one now and then.
    Dripping(Vec<u8>),
    /// Nothing at all.
    Silence,
}

impl Manner {
    /// A profile.
    pub(crate) fn profile(profile: &Value) -> Self {
        Self::json(&profile.to_string())
    }

    /// Whatever text as JSON.
    pub(crate) fn json(text: &str) -> Self {
        Self::typed("application/json", text)
    }

    pub(crate) fn typed(content_type: &str, text: &str) -> Self {
        Self::Answer(answer(
            &format!("200 OK\r\ncontent-type: {content_type}"),
            text,
        ))
    }

    /// A status with further headers, and JSON that is not looked at.
    pub(crate) fn status(status: &str) -> Self {
        let head = format!("{status}\r\ncontent-type: application/json");
        Self::Answer(answer(&head, r#"{"error":"no profile"}"#))
    }

    /// The same answer, after a while.
    pub(crate) fn after(self, delay: Duration) -> Self {
        match self {
            Self::Answer(bytes) => Self::Late(delay, bytes),
            other => other,
        }
    }
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    asked: Mutex<Vec<Asked>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    endless_bytes: AtomicUsize,
}

/// The running service; gone when dropped.
#[derive(Debug)]
pub(crate) struct TestLoader {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: AbortOnDropHandle<()>,
}

impl TestLoader {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::run(manner, None).await
    }

    /// Over TLS.
    pub(crate) async fn start_secured(manner: Manner, certificates: &TestCertificates) -> Self {
        Self::run(manner, Some(tls_acceptor(certificates))).await
    }

    async fn run(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            asked: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            endless_bytes: AtomicUsize::new(0),
        });
        Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::clone(&shared),
            _accepting: AbortOnDropHandle::new(tokio::spawn(accept(listener, shared, tls))),
        }
    }

    /// Where profiles are, as `SGW_PROFILE_LOADER_URL` tells it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/users/{{login_id}}", self.address)
    }

    /// Answers otherwise from now on.
    pub(crate) fn answers(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How often it was asked.
    pub(crate) fn count(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// How many requests it had at a time, at most.
    pub(crate) fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }

    /// How much it could write without end.
    pub(crate) fn endless_bytes(&self) -> usize {
        self.shared.endless_bytes.load(Ordering::SeqCst)
    }

    /// Waits until it has been asked so often.
    pub(crate) async fn until_asked(&self, times: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.count() < times {
            assert!(Instant::now() < deadline, "asked only {}", self.count());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            let Some(tls) = tls else {
                return serve(stream, &shared).await;
            };
            // Who does not trust the certificate goes.
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, &shared).await;
            }
        });
    }
}

/// Answers one request after the other, until either side has enough.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Shared) {
    while let Some(asked) = read(&mut stream).await {
        shared.asked.lock().unwrap().push(asked);
        let now = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_under_way.fetch_max(now, Ordering::SeqCst);
        let manner = shared.manner.lock().unwrap().clone();
        let goes_on = answer_in(&mut stream, manner, &shared.endless_bytes).await;
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
        if goes_on.is_none() {
            return;
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head).expect("a request");
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    Some(Asked {
        method: request.method.unwrap().to_owned(),
        target: request.path.unwrap().to_owned(),
        headers: request
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), text(header.value)))
            .collect(),
    })
}

/// Nothing if that was the last word.
async fn answer_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    manner: Manner,
    endless_bytes: &AtomicUsize,
) -> Option<()> {
    match manner {
        Manner::Answer(bytes) => write(stream, &bytes).await,
        Manner::Late(delay, bytes) => {
            tokio::time::sleep(delay).await;
            write(stream, &bytes).await
        }
        Manner::BreakOff(bytes) => {
            write(stream, &bytes).await?;
            stream.shutdown().await.ok()?;
            None
        }
        Manner::Endless(bytes) => {
            write(stream, &bytes).await?;
            loop {
                write(stream, &[b' '; 4096]).await?;
                endless_bytes.fetch_add(4096, Ordering::SeqCst);
            }
        }
        Manner::Dripping(bytes) => {
            write(stream, &bytes).await?;
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                write(stream, b" ").await?;
            }
        }
        Manner::Silence => {
            // Until the other side goes.
            stream.read_u8().await.ok()?;
            None
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()
}
