//! A channel, heard at every master: on a cluster a message may be published at any of them.
//!
//! Messages can be missed, and that is told: [`Signal::Lost`] comes when a master can no longer be heard, and what was
//! published between it and the next [`Signal::Listening`] is gone. A master that is not in the topology any more is not heard.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Msg, PushInfo, PushKind, RedisResult};
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::backoff::{Backoff, jitter};
use super::connect::Dialer;
use super::deadline;
use super::topology::Topology;
use super::url::Address;

/// Messages that wait to be taken; when there are more, the master is given up and heard anew.
const UNHEARD: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::redis) enum Signal {
    /// From now on messages of this master are heard.
    Listening {
        master: Address,
    },
    Message {
        master: Address,
        payload: Vec<u8>,
    },
    /// Messages of this master are missed.
    Lost {
        master: Address,
    },
}

/// Listens until the receiver is dropped.
pub(super) fn start(
    dialer: Dialer,
    topology: watch::Receiver<Topology>,
    channel: &str,
) -> mpsc::Receiver<Signal> {
    let (signals, heard) = mpsc::channel(UNHEARD);
    let subscriber = Subscriber {
        dialer,
        channel: channel.into(),
        signals,
    };
    tokio::spawn(listen(subscriber, topology));
    heard
}

/// What it takes to listen to one master.
#[derive(Debug, Clone)]
struct Subscriber {
    dialer: Dialer,
    channel: Arc<str>,
    signals: mpsc::Sender<Signal>,
}

async fn listen(subscriber: Subscriber, mut topology: watch::Receiver<Topology>) {
    let mut listeners: HashMap<Address, AbortOnDropHandle<()>> = HashMap::new();
    loop {
        let masters: Vec<_> = {
            let now = topology.borrow_and_update();
            now.masters
                .iter()
                .map(|master| master.address.clone())
                .collect()
        };
        let gone: Vec<_> = listeners
            .extract_if(|address, _| !masters.contains(address))
            .map(|(address, _)| address)
            .collect();
        for master in gone {
            subscriber.tell(Signal::Lost { master }).await;
        }
        for master in masters {
            listeners.entry(master.clone()).or_insert_with(|| {
                AbortOnDropHandle::new(tokio::spawn(subscriber.clone().listen_to(master)))
            });
        }
        tokio::select! {
            () = subscriber.signals.closed() => return,
            changed = topology.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

impl Subscriber {
    async fn listen_to(self, master: Address) {
        let mut backoff = Backoff::default();
        loop {
            let (pushes, heard) = mpsc::channel(UNHEARD);
            if let Ok(connection) = self.connect(&master, pushes).await {
                backoff.reset();
                let master = || master.clone();
                self.tell(Signal::Listening { master: master() }).await;
                self.relay(&master(), connection, heard).await;
                self.tell(Signal::Lost { master: master() }).await;
            }
            sleep(backoff.next(jitter())).await;
        }
    }

    async fn connect(
        &self,
        master: &Address,
        pushes: mpsc::Sender<Vec<u8>>,
    ) -> RedisResult<MultiplexedConnection> {
        let sender = std::sync::Mutex::new(Some(pushes));
        let on_push = move |push: PushInfo| forward(&sender, push);
        let mut connection = self.dialer.connect_to_receive(master, on_push).await?;
        connection.subscribe(&*self.channel).await?;
        connection.set_response_timeout(deadline::SILENCE);
        // Answered in turn: by then the channel is being heard.
        redis::cmd("PING").exec_async(&mut connection).await?;
        Ok(connection)
    }

    /// Returns when the master is silent, or more was published than could be taken.
    async fn relay(
        &self,
        master: &Address,
        connection: MultiplexedConnection,
        heard: mpsc::Receiver<Vec<u8>>,
    ) {
        tokio::select! {
            () = self.pass_on(master, heard) => {}
            () = until_silent(connection) => {}
        }
    }

    async fn pass_on(&self, master: &Address, mut heard: mpsc::Receiver<Vec<u8>>) {
        while let Some(payload) = heard.recv().await {
            let master = master.clone();
            self.tell(Signal::Message { master, payload }).await;
        }
    }

    /// Waits for room; whoever listens no more ends the task by itself.
    async fn tell(&self, signal: Signal) {
        drop(self.signals.send(signal).await);
    }
}

async fn until_silent(mut connection: MultiplexedConnection) {
    let mut heartbeat = interval(deadline::HEARTBEAT);
    loop {
        heartbeat.tick().await;
        if redis::cmd("PING")
            .exec_async(&mut connection)
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Closes the queue when it is full or the connection is gone, so that the listener notices.
fn forward(sender: &std::sync::Mutex<Option<mpsc::Sender<Vec<u8>>>>, push: PushInfo) {
    let mut sender = sender
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let open = if push.kind == PushKind::Message {
        let payload = Msg::from_push_info(push).map(|message| message.get_payload_bytes().to_vec());
        let queue = sender.as_ref();
        payload
            .zip(queue)
            .is_none_or(|(payload, queue)| queue.try_send(payload).is_ok())
    } else {
        push.kind != PushKind::Disconnection
    };
    if !open {
        sender.take();
    }
}
