//! A TCP proxy that does harm: delays, silence, lost replies, resets, garbage.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bytes go through.
    Pass,
    /// Each piece of a reply comes late.
    Late(Duration),
    /// Each piece of a reply comes late, but for those who listen to a channel.
    LateToAskers(Duration),
    /// Those who listen to a channel hear nothing; their connections stay.
    Deaf,
    /// Connections are accepted, and nothing comes out on either side.
    BlackHole,
    /// Requests are executed, replies are lost.
    HalfOpen,
    /// Connections are reset at once.
    Reset,
    /// Each connection is reset after so many bytes of replies.
    CutAfter(u64),
    /// Replies come in pieces of so many bytes.
    Slice(usize),
    /// Replies are replaced by bytes that are none.
    Garbage,
    /// A connection on which these bytes are sent is reset, and the request with them goes nowhere.
    CutBefore(&'static [u8]),
    /// A connection on which these bytes are sent is reset when there is a reply, which is lost.
    CutBehind(&'static [u8]),
}

/// A proxy before one server.
#[derive(Debug)]
pub struct FaultProxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    generation: watch::Sender<u64>,
    accepted: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Line {
    mode: watch::Receiver<Mode>,
    generation: watch::Receiver<u64>,
}

/// What is known of the client of one connection.
#[derive(Debug, Default)]
struct Asker {
    /// It listens to a channel.
    listens: AtomicBool,
    /// The next reply to it is lost.
    is_doomed: AtomicBool,
}

impl Asker {
    fn note(&self, sent: &[u8]) {
        let word = b"SUBSCRIBE";
        if sent
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
        {
            self.listens.store(true, Ordering::SeqCst);
        }
    }

    fn listens(&self) -> bool {
        self.listens.load(Ordering::SeqCst)
    }
}

fn has(sent: &[u8], word: &[u8]) -> bool {
    sent.windows(word.len()).any(|part| part == word)
}

impl FaultProxy {
    pub async fn before(target_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, modes) = watch::channel(Mode::Pass);
        let (generation, generations) = watch::channel(0);
        let accepted = Arc::new(AtomicU64::new(0));
        let line = Line {
            mode: modes,
            generation: generations,
        };
        let target = SocketAddr::from(([127, 0, 0, 1], target_port));
        let task = tokio::spawn(accept(listener, target, line, Arc::clone(&accepted)));
        Self {
            port,
            mode,
            generation,
            accepted,
            task,
        }
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Resets every connection.
    pub fn cut_all(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// How many connections there were.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, line: Line, accepted: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::SeqCst);
        connections.spawn(line.clone().carry(client, target));
        while connections.try_join_next().is_some() {}
    }
}

impl Line {
    async fn carry(mut self, client: TcpStream, target: SocketAddr) {
        client.set_nodelay(true).unwrap();
        if *self.mode.borrow() == Mode::Reset {
            return reset(client);
        }
        let Ok(server) = TcpStream::connect(target).await else {
            return reset(client);
        };
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        self.generation.mark_unchanged();
        let mut cut = self.generation.clone();
        // Halves come together again for the reset.
        let back = Arc::new(Mutex::new(Some(to_client)));
        let asker = Asker::default();
        tokio::select! {
            () = self.up(&from_client, to_server, &asker) => {}
            () = self.down(from_server, &back, &asker) => {}
            _ = cut.changed() => {}
        }
        let to_client = back.lock().unwrap().take();
        if let Some(to_client) = to_client {
            reset(from_client.reunite(to_client).unwrap());
        }
    }

    async fn up(&self, from: &OwnedReadHalf, mut to: OwnedWriteHalf, asker: &Asker) {
        let mut bytes = vec![0; 65_536];
        loop {
            if from.readable().await.is_err() {
                return;
            }
            let read = match from.try_read(&mut bytes) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            };
            asker.note(&bytes[..read]);
            let mode = self.now();
            if let Mode::CutBefore(word) = mode
                && has(&bytes[..read], word)
            {
                return;
            }
            if let Mode::CutBehind(word) = mode
                && has(&bytes[..read], word)
            {
                asker.is_doomed.store(true, Ordering::SeqCst);
            }
            if self.now() != Mode::BlackHole && to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    }

    async fn down(
        &self,
        mut from: OwnedReadHalf,
        to: &Mutex<Option<OwnedWriteHalf>>,
        asker: &Asker,
    ) {
        let mut bytes = vec![0; 65_536];
        let mut sent = 0;
        while let Ok(read) = from.read(&mut bytes).await {
            let mut part = &bytes[..read];
            if read == 0 || asker.is_doomed.load(Ordering::SeqCst) {
                return;
            }
            match self.now() {
                Mode::Late(by) => tokio::time::sleep(by).await,
                Mode::LateToAskers(by) if !asker.listens() => tokio::time::sleep(by).await,
                Mode::Deaf if asker.listens() => continue,
                Mode::Pass
                | Mode::LateToAskers(_)
                | Mode::Deaf
                | Mode::CutBefore(_)
                | Mode::CutBehind(_) => {}
                Mode::BlackHole | Mode::HalfOpen => continue,
                Mode::Reset => return,
                Mode::CutAfter(most) => {
                    let left = usize::try_from(most.saturating_sub(sent)).unwrap();
                    part = &part[..left.min(part.len())];
                }
                Mode::Slice(size) => {
                    for piece in part.chunks(size) {
                        write(to, piece).await;
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                Mode::Garbage => part = b"<html>not Redis</html>\r\n",
            }
            write(to, part).await;
            sent += part.len() as u64;
            if matches!(self.now(), Mode::CutAfter(most) if most <= sent) {
                return;
            }
        }
    }

    fn now(&self) -> Mode {
        *self.mode.borrow()
    }
}

async fn write(to: &Mutex<Option<OwnedWriteHalf>>, bytes: &[u8]) {
    let half = to.lock().unwrap().take();
    if let Some(mut half) = half {
        drop(half.write_all(bytes).await);
        *to.lock().unwrap() = Some(half);
    }
}

/// Closing without lingering sends a reset.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}
