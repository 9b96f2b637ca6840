//! The server on a socket of this process, with short deadlines.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use session_gateway::http::app::with_middleware;
use session_gateway::http::middleware::RequestWatcher;
use session_gateway::model::network::Networks;
use session_gateway::server::{Deadlines, Drained, Listener, ServerSettings, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Whatever is waited for has long happened by then, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Silences are short, but longer than a busy machine needs between two steps of a test. The deadline of idle
/// connections is as long as ever, so that it hides no other.
pub(super) fn settings() -> ServerSettings {
    ServerSettings {
        max_connections: 100,
        max_connections_per_address: 100,
        trusted: Networks::default(),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::from_secs(10),
        deadlines: Deadlines {
            header: Duration::from_millis(400),
            write: Duration::from_millis(400),
            ..Deadlines::default()
        },
    }
}

pub(super) struct EdgeServer {
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<Drained>,
}

impl EdgeServer {
    pub(super) async fn start(routes: Router, settings: ServerSettings) -> Self {
        Self::start_beside(Vec::new(), routes, settings).await
    }

    /// With further listeners, each with routes of its own.
    pub(super) async fn start_beside(
        mut listeners: Vec<(Listener, Router)>,
        routes: Router,
        settings: ServerSettings,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        listeners.push((
            listener.into(),
            with_middleware(routes, &RequestWatcher::default()),
        ));
        let shutdown = CancellationToken::new();
        let told = shutdown.clone().cancelled_owned();
        let served = tokio::spawn(serve(listeners, settings, told));
        Self {
            address,
            shutdown,
            served,
        }
    }

    pub(super) async fn connect(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap())
    }

    /// From an address of this machine.
    pub(super) async fn connect_from(&self, address: [u8; 4]) -> Raw {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        Raw(socket.connect(self.address).await.unwrap())
    }

    pub(super) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    pub(super) async fn drained(self) -> Drained {
        patiently(self.served).await.unwrap()
    }
}

/// A client that sends what no library would.
pub(super) struct Raw<S = TcpStream>(pub(super) S);

impl Raw {
    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(super) async fn try_send(&mut self, bytes: &str) -> std::io::Result<()> {
        self.0.write_all(bytes.as_bytes()).await
    }

    /// Everything until the server closes.
    pub(super) async fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end as well.
        let _outcome = patiently(self.0.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads until this text has come.
    pub(super) async fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let length = patiently(self.0.read(&mut piece)).await.unwrap();
            read.extend_from_slice(&piece[..length]);
            let seen = String::from_utf8_lossy(&read).into_owned();
            if seen.contains(text) {
                return seen;
            }
            assert_ne!(length, 0, "closed before {text:?}: {seen}");
        }
    }

    pub(super) async fn get(&mut self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"))
            .await;
        self.read_until("\r\n\r\n").await
    }
}

pub(super) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("never happened")
}
