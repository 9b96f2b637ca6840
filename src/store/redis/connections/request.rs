//! One operation, with what it meets on its way: redirections, unknown scripts, masters that change.

use std::borrow::Cow;
use std::sync::Arc;

use deadpool_redis::redis::{Arg, Cmd, RedisError, Value};
use tokio::time::{Instant, sleep};

use super::connect::SHARED_CONNECTIONS;
use super::deadline;
use super::errors::{Failure, RetryDecision};
use super::gate::Urgency;
use super::node::{Message, Node};
use super::routes::Routes;
use super::script::Script;
use super::slot::{self, Slot};
use super::url::Address;

const READS: [&str; 13] = [
    "EXISTS",
    "GET",
    "HGET",
    "HGETALL",
    "HMGET",
    "HSCAN",
    "XRANGE",
    "XREVRANGE",
    "ZCARD",
    "ZMSCORE",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZREVRANGEBYLEX",
];

/// Reads of what stands under one key, as it takes to verify a token.
const LOOKUPS: [&str; 5] = ["EXISTS", "GET", "HGET", "HGETALL", "HMGET"];

/// What becomes of it when something is done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::redis) enum Effect {
    /// The second time would do harm, or answer something else.
    Once,
    /// The second time changes nothing and answers the same.
    Repeatable,
}

impl Effect {
    pub(super) fn of(command: &Cmd) -> Self {
        if is_one_of(command, &READS) {
            Self::Repeatable
        } else {
            Self::Once
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    Script {
        script: &'a Script,
        keys: &'a [Vec<u8>],
        args: &'a [Vec<u8>],
    },
}

fn is_one_of(command: &Cmd, names: &[&str]) -> bool {
    let own = word(command, 0).unwrap_or_default();
    names
        .iter()
        .any(|name| own.eq_ignore_ascii_case(name.as_bytes()))
}

/// A word of a command; the name is the first.
fn word(command: &Cmd, place: usize) -> Option<&[u8]> {
    match command.args_iter().nth(place)? {
        Arg::Simple(bytes) => Some(bytes),
        Arg::Cursor | _ => None,
    }
}

struct Attempt<'a> {
    command: Cow<'a, Cmd>,
    urgency: Urgency,
    redirected: Option<(Address, bool)>,
    losses: usize,
}

impl<'a> Request<'a> {
    /// The value, and the master that gave it.
    pub(super) async fn run(
        &self,
        routes: &Routes,
        slot: Slot,
        effect: Effect,
    ) -> Result<(Value, Arc<Node>), Failure> {
        let start = Instant::now();
        let slot = self.key().map_or_else(|| slot.number(), slot::of_key);
        let mut attempt = Attempt::new(self.command(), self.urgency());
        loop {
            let failure = match attempt.start(routes, slot).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let patience = if failure.is_of_a_moving_slot() {
                deadline::MOVING_SLOT
            } else {
                routes.deadlines().operation()
            };
            let over = start.elapsed() >= patience && !failure.is_of_an_unknown_script();
            if over || !attempt.prepare(self, &failure, effect, routes).await {
                return Err(failure);
            }
        }
    }

    /// The first key, which is in the same slot as all others; commands have it as their first argument.
    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Command(command) => word(command, 1),
            Self::Script { keys, .. } => keys.first().map(Vec::as_slice),
        }
    }

    /// Whether the master that is taking a slot over knows enough for it: of several keys it may have only some.
    fn is_on_one_key(&self) -> bool {
        match self {
            Self::Command(_) => true,
            Self::Script { keys, .. } => keys.len() == 1,
        }
    }

    fn urgency(&self) -> Urgency {
        match self {
            Self::Command(command) if is_one_of(command, &LOOKUPS) => Urgency::First,
            Self::Command(_) => Urgency::Later,
            Self::Script { script, .. } => script.urgency(),
        }
    }

    fn command(&self) -> Cow<'a, Cmd> {
        match self {
            Self::Command(command) => Cow::Borrowed(command),
            Self::Script { script, keys, args } => Cow::Owned(script.by_hash(keys, args)),
        }
    }

    fn with_source(&self) -> Cow<'a, Cmd> {
        match self {
            Self::Command(command) => Cow::Borrowed(command),
            Self::Script { script, keys, args } => Cow::Owned(script.by_source(keys, args)),
        }
    }
}

impl<'a> Attempt<'a> {
    fn new(command: Cow<'a, Cmd>, urgency: Urgency) -> Self {
        Self {
            command,
            urgency,
            redirected: None,
            losses: 0,
        }
    }

    async fn start(&mut self, routes: &Routes, slot: u16) -> Result<(Value, Arc<Node>), Failure> {
        let (node, asking) = match self.redirected.take() {
            Some((address, asking)) => (visit(routes, address)?, asking),
            None => (routes.of(slot)?, false),
        };
        let message = if asking {
            Message::Asking(&self.command)
        } else {
            Message::Plain(&self.command)
        };
        let value = node.send(message, self.urgency).await?;
        Ok((value, node))
    }

    /// Makes ready for the next attempt; tells whether there is to be one.
    async fn prepare(
        &mut self,
        request: &Request<'a>,
        failure: &Failure,
        effect: Effect,
        routes: &Routes,
    ) -> bool {
        match failure {
            Failure::Refused { address, cause } => {
                self.react(request, address, cause, routes).await
            }
            Failure::Lost { .. } => {
                self.losses += 1;
                effect == Effect::Repeatable
                    && self.losses <= SHARED_CONNECTIONS
                    && pause(routes).await
            }
            Failure::NoMaster(_) => pause(routes).await,
            Failure::Down { .. }
            | Failure::Overloaded(_)
            | Failure::TimedOut(_)
            | Failure::NotReplicated { .. }
            | Failure::Replaced(_) => false,
        }
    }

    async fn react(
        &mut self,
        request: &Request<'a>,
        answered_by: &Address,
        error: &RedisError,
        routes: &Routes,
    ) -> bool {
        match RetryDecision::to(error, answered_by) {
            RetryDecision::Follow { asking: true, .. } if !request.is_on_one_key() => {
                pause(routes).await
            }
            RetryDecision::Follow { address, asking } => {
                if !asking {
                    routes.changed.notify_one();
                }
                self.redirected = Some((address, asking));
                true
            }
            RetryDecision::SendSource => {
                self.command = request.with_source();
                true
            }
            RetryDecision::Pause | RetryDecision::Reconnect => pause(routes).await,
            RetryDecision::GiveUp => false,
        }
    }
}

async fn pause(routes: &Routes) -> bool {
    routes.changed.notify_one();
    sleep(deadline::PAUSE).await;
    true
}

fn visit(routes: &Routes, address: Address) -> Result<Arc<Node>, Failure> {
    routes
        .visit(address.clone())
        .map_err(|cause| Failure::Lost { address, cause })
}

/// Runs a script at one master, wherever its keys may be served by now.
pub(super) async fn run_at(
    routes: &Routes,
    master: &Address,
    script: &Script,
    keys: &[Vec<u8>],
    args: &[Vec<u8>],
) -> Result<Value, Failure> {
    let node = visit(routes, master.clone())?;
    let urgency = script.urgency();
    let by_hash = script.by_hash(keys, args);
    let answer = node.send(Message::Plain(&by_hash), urgency).await;
    match answer {
        Err(Failure::Refused { cause, .. })
            if RetryDecision::to(&cause, master) == RetryDecision::SendSource =>
        {
            let by_source = script.by_source(keys, args);
            node.send(Message::Plain(&by_source), urgency).await
        }
        answer => answer,
    }
}

/// Waits until `wanted` replicas of the master that answered have all it acknowledged. A master that was replaced or
/// restarted meanwhile proves nothing.
pub(super) async fn wait_for_replicas(
    routes: &Routes,
    slot: Slot,
    node: &Arc<Node>,
    wanted: usize,
) -> Result<(), Failure> {
    let history = node.probe.replication_id();
    node.wait_for_replicas(wanted).await?;
    let serves = routes
        .of(slot.number())
        .is_ok_and(|now| Arc::ptr_eq(&now, node));
    if serves && node.probe.replication_id() == history {
        Ok(())
    } else {
        Err(Failure::Replaced(node.address.clone()))
    }
}
