//! A client that costs next to nothing: the cores under the load generator are those of the server.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer of the benchmarks is longer.
const LONGEST_ANSWER: usize = 16 * 1024;

/// One connection that stays open, used by one caller at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    credentials: String,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, service_id: &str, secret: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            credentials: format!("x-service-id: {service_id}\r\nx-service-secret: {secret}"),
            buffer: vec![0; LONGEST_ANSWER],
        }
    }

    /// Sends a request and returns the body of its answer, which must have this status; `None` if it is 503.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        json: &str,
        status: u16,
    ) -> Option<&[u8]> {
        let json_type = "content-type: application/json\r\n";
        let (answered, body) = self.ask(method, path, json_type, json).await;
        if answered == 503 {
            return None;
        }
        assert_eq!(answered, status, "{}", String::from_utf8_lossy(body));
        Some(body)
    }

    /// Sends a request with more lines in its head, and returns status and body of its answer.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        lines: &str,
        body: &str,
    ) -> (u16, &[u8]) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\n{}\r\n{lines}content-length: {}\r\n\r\n{body}",
            self.credentials,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server hung up");
            filled += read;
            if let Some((status, body)) = whole_answer(&self.buffer[..filled]) {
                return (status, &self.buffer[body..filled]);
            }
        }
    }
}

/// The status and where the body begins, once all of it is there.
fn whole_answer(answer: &[u8]) -> Option<(u16, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body) = head.parse(answer).unwrap() else {
        return None;
    };
    let length = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |header| {
            std::str::from_utf8(header.value).unwrap().parse().unwrap()
        });
    (answer.len() == body + length).then_some((head.code.unwrap(), body))
}
