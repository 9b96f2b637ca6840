//! A proxy that lets replies travel for a while, as on a longer way, in their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// Pieces of replies that are on the way; more wait.
const ON_THE_WAY: usize = 1_024;

/// A longer way to one server.
#[derive(Debug)]
pub(super) struct LongWay {
    pub(super) port: u16,
    delay: Arc<Delay>,
    _task: AbortOnDropHandle<()>,
}

/// Between how many microseconds each reply travels.
#[derive(Debug, Default)]
struct Delay {
    least: AtomicU64,
    spread: AtomicU64,
}

impl LongWay {
    pub(super) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let delay = Arc::<Delay>::default();
        let accept = accept(listener, server, Arc::clone(&delay));
        Self {
            port,
            delay,
            _task: AbortOnDropHandle::new(tokio::spawn(accept)),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Replies travel at least so long, and up to `spread` longer at random.
    pub(super) fn set(&self, least: Duration, spread: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap();
        self.delay.least.store(micros(least), Ordering::Relaxed);
        self.delay.spread.store(micros(spread), Ordering::Relaxed);
    }
}

impl Delay {
    fn next(&self) -> Duration {
        let spread = self.spread.load(Ordering::Relaxed);
        let random = u64::from(getrandom::u32().unwrap());
        let more = (random * spread) >> 32;
        Duration::from_micros(self.least.load(Ordering::Relaxed) + more)
    }
}

async fn accept(listener: TcpListener, server: u16, delay: Arc<Delay>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let delay = Arc::clone(&delay);
        connections.spawn(async move {
            if let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await {
                carry(client, server, delay).await;
            }
        });
    }
}

async fn carry(client: TcpStream, server: TcpStream, delay: Arc<Delay>) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (send, mut travelling) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            let there = Instant::now() + delay.next();
            if send.send((there, bytes[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((there, bytes)) = travelling.recv().await {
            sleep_until(there).await;
            if to_client.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = read => {}
        () = write => {}
    }
}
