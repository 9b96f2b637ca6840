//! The channels of the masters, and the heartbeats that are under way on them. A heartbeat goes to one master; when it
//! is heard on the channel of that same master, all that this master said before has been heard too.

use std::collections::{HashMap, VecDeque};
use std::mem::replace;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::connections::Address;
use super::message::Heartbeat;
use crate::store::Partition;

/// Heartbeats of one master that may still be heard.
const UNHEARD: usize = 64;

/// The masters that are listened to, or are to be.
#[derive(Debug, Default)]
pub(super) struct Channels {
    masters: HashMap<Address, Channel>,
    heartbeats: u64,
}

#[derive(Debug, Default)]
struct Channel {
    listening: bool,
    /// Whether a heartbeat of any node was heard.
    heard: bool,
    beating: bool,
    sent: VecDeque<Sent>,
}

/// A heartbeat that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    number: u64,
    pub(super) at: Instant,
    /// The streams it asks for, in the order of the answer.
    pub(super) streams: Arc<[Partition]>,
}

impl Channels {
    pub(super) fn is_heard(&self, master: &Address) -> bool {
        self.masters
            .get(master)
            .is_some_and(|channel| channel.listening)
    }

    pub(super) fn opened(&mut self, master: Address) {
        self.masters.entry(master).or_default().listening = true;
    }

    pub(super) fn lost(&mut self, master: &Address) {
        self.masters.remove(master);
    }

    /// The masters that are heard and have taken the last heartbeat.
    pub(super) fn ready(&self) -> Vec<Address> {
        let ready = self
            .masters
            .iter()
            .filter(|(_, channel)| channel.listening && !channel.beating);
        ready.map(|(master, _)| master.clone()).collect()
    }

    /// Begins a heartbeat and gives it a number.
    pub(super) fn heartbeat(&mut self, master: &Address, streams: Arc<[Partition]>) -> u64 {
        self.heartbeats += 1;
        if let Some(channel) = self.masters.get_mut(master) {
            channel.beating = true;
            if channel.sent.len() == UNHEARD {
                channel.sent.pop_front();
            }
            channel.sent.push_back(Sent {
                number: self.heartbeats,
                at: Instant::now(),
                streams,
            });
        }
        self.heartbeats
    }

    /// The master has answered a heartbeat, or not.
    pub(super) fn beaten(&mut self, master: &Address) {
        if let Some(channel) = self.masters.get_mut(master) {
            channel.beating = false;
        }
    }

    /// A heartbeat of any node was heard; tells whether it was the first on this channel.
    pub(super) fn is_first(&mut self, master: &Address) -> bool {
        let channel = self.masters.get_mut(master);
        channel.is_none_or(|channel| !replace(&mut channel.heard, true))
    }

    /// The heartbeat that was heard, if it was sent to the master on whose channel it came.
    pub(super) fn heard(&mut self, master: &Address, heartbeat: &Heartbeat) -> Option<Sent> {
        let sent = &mut self.masters.get_mut(master)?.sent;
        let at = sent
            .iter()
            .position(|sent| sent.number == heartbeat.number)?;
        sent.drain(..at);
        sent.pop_front()
    }
}
