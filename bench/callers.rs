//! Those who call the gateway, and what for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::Connection;
use crate::service::Opened;

/// How many call at the same time.
pub(crate) const CLIENTS: usize = 64;

/// How long an operation is measured in a round.
const SPAN: Duration = Duration::from_secs(3);

/// In the order in which a round measures them.
pub(crate) const OPERATIONS: [Operation; 6] = [
    Operation::Open,
    Operation::Find,
    Operation::Verify,
    Operation::SetAttribute,
    Operation::SetOnOneSession,
    Operation::Delete,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Open,
    Find,
    Verify,
    SetAttribute,
    /// An attribute of its own each, all on the same session.
    SetOnOneSession,
    Delete,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open, three attributes",
            Self::Find => "find",
            Self::Verify => "verify",
            Self::SetAttribute => "set an attribute",
            Self::SetOnOneSession => "set an attribute, all on one session",
            Self::Delete => "delete",
        }
    }

    /// The command that the bare server is asked for beside it.
    pub(crate) fn beside(self) -> &'static str {
        match self {
            Self::Open | Self::SetAttribute | Self::SetOnOneSession | Self::Delete => "SET",
            Self::Find | Self::Verify => "GET",
        }
    }
}

/// One keep-alive connection and the sessions that were opened by it.
pub(crate) struct Caller {
    connection: Connection,
    name: usize,
    sessions: Vec<OpenedSession>,
}

struct OpenedSession {
    path: String,
    token: String,
}

pub(crate) async fn callers(address: SocketAddr, secret: &str) -> Vec<Caller> {
    let mut callers = Vec::new();
    for name in 0..CLIENTS {
        callers.push(Caller {
            connection: Connection::open(address, "bench", secret).await,
            name,
            sessions: Vec::new(),
        });
    }
    callers
}

/// What came of one operation in one round.
pub(crate) struct Run {
    pub(crate) rate: f64,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) unavailable: usize,
}

/// What came of one request.
enum Outcome {
    Done,
    Unavailable,
    NothingLeft,
}

/// For the span, or until there is nothing left to do.
pub(crate) async fn all_at_once(callers: Vec<Caller>, operation: Operation) -> (Vec<Caller>, Run) {
    let one_session = callers.first().and_then(|caller| caller.sessions.first());
    let one_session: Arc<str> = one_session.map_or("", |session| &session.path).into();
    let started = Instant::now();
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|caller| {
            let one_session = Arc::clone(&one_session);
            tokio::spawn(caller.repeat(operation, one_session, started + SPAN))
        })
        .collect();
    let mut callers = Vec::new();
    let (mut latencies, mut unavailable) = (Vec::new(), 0);
    for task in tasks {
        let (caller, its, without) = task.await.unwrap();
        callers.push(caller);
        latencies.extend(its);
        unavailable += without;
    }
    let run = Run {
        rate: latencies.len() as f64 / started.elapsed().as_secs_f64(),
        latencies,
        unavailable,
    };
    (callers, run)
}

impl Caller {
    async fn repeat(
        mut self,
        operation: Operation,
        one_session: Arc<str>,
        until: Instant,
    ) -> (Self, Vec<Duration>, usize) {
        let (mut latencies, mut unavailable) = (Vec::new(), 0);
        loop {
            let sent = Instant::now();
            if sent >= until {
                return (self, latencies, unavailable);
            }
            match self.once(operation, &one_session, latencies.len()).await {
                Outcome::Done => latencies.push(sent.elapsed()),
                Outcome::Unavailable => unavailable += 1,
                Outcome::NothingLeft => return (self, latencies, unavailable),
            }
        }
    }

    async fn once(&mut self, operation: Operation, one_session: &str, turn: usize) -> Outcome {
        let connection = &mut self.connection;
        if operation == Operation::Open {
            return self.open(turn).await;
        }
        if operation == Operation::Delete {
            let Some(session) = self.sessions.pop() else {
                return Outcome::NothingLeft;
            };
            return outcome(connection.call("DELETE", &session.path, "", 204).await);
        }
        let Some(session) = self.sessions.get(turn % self.sessions.len().max(1)) else {
            return Outcome::NothingLeft;
        };
        outcome(match operation {
            Operation::Verify => {
                let token = format!(r#"{{"token":"{}"}}"#, session.token);
                connection
                    .call("POST", "/v1/tokens/verify", &token, 200)
                    .await
            }
            Operation::SetAttribute => {
                let path = format!("{}/attributes/locale", session.path);
                connection.call("PUT", &path, "\"de-DE\"", 200).await
            }
            Operation::SetOnOneSession => {
                let path = format!("{one_session}/attributes/writer-{}", self.name);
                let (json, value) = ("content-type: application/json\r\n", turn.to_string());
                let (status, body) = connection.ask("PUT", &path, json, &value).await;
                // New the first time, and replaced from then on.
                assert!([200, 201, 503].contains(&status), "{status}");
                (status != 503).then_some(body)
            }
            Operation::Find | Operation::Open | Operation::Delete => {
                connection.call("GET", &session.path, "", 200).await
            }
        })
    }

    async fn open(&mut self, turn: usize) -> Outcome {
        let new = format!(
            r#"{{"login_id":"user-{}-{turn}","attributes":{{"role":"admin","locale":"en-GB","plan":{{"tier":"pro"}}}}}}"#,
            self.name
        );
        let call = self.connection.call("POST", "/v1/sessions", &new, 201);
        let Some(body) = call.await else {
            return Outcome::Unavailable;
        };
        let opened: Opened = serde_json::from_slice(body).unwrap();
        self.sessions.push(OpenedSession {
            path: format!("/v1/sessions/{}", opened.session.session_id),
            token: opened.token,
        });
        Outcome::Done
    }
}

fn outcome(answer: Option<&[u8]>) -> Outcome {
    answer.map_or(Outcome::Unavailable, |_body| Outcome::Done)
}
