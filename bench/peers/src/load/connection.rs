//! Connections of one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

use super::Response;

/// Greater than any answer.
const BUFFER_BYTES: usize = 16 * 1024;

/// One request at a time.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// From when the latency of the request under way counts.
    pub(super) since: Instant,
    /// Which request is under way.
    pub(super) request: usize,
}

impl Connection {
    /// Connections whose token at the poll is their index.
    pub(super) fn open(address: SocketAddr, count: usize, poll: &Poll) -> Vec<Self> {
        let open = |index| {
            let stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE)
                .unwrap();
            Self {
                stream,
                buffer: vec![0; BUFFER_BYTES],
                filled: 0,
                since: Instant::now(),
                request: 0,
            }
        };
        (0..count).map(open).collect()
    }

    pub(super) fn send(&mut self, request: usize, bytes: &[u8], since: Instant) {
        self.filled = 0;
        self.since = since;
        self.request = request;
        let written = self.stream.write(bytes).unwrap();
        assert_eq!(written, bytes.len(), "a request fits into an empty socket");
    }

    /// The answer, if it is there to its end. It is read once an event, which is enough because the buffer is never
    /// full.
    pub(super) fn receive(&mut self) -> Option<Response<'_>> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => panic!("the server closed the connection"),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        }
        assert!(self.filled < BUFFER_BYTES, "the answer is too long");
        Response::parse(&self.buffer[..self.filled])
    }
}
