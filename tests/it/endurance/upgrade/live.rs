//! The gateways that are live, as clients of any of them see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::RwLock;

use super::DEADLINE;
use crate::support::{Answer, Call, Client, Gateway};

/// The built-in service at whatever runs; clones share it.
#[derive(Clone, Default)]
pub(super) struct Live(Arc<Shared>);

#[derive(Default)]
struct Shared {
    clients: RwLock<Vec<Client>>,
    sent: AtomicUsize,
    again: AtomicUsize,
}

impl Live {
    /// From now on these are called. No request is under way at any other when this returns.
    pub(super) async fn are(&self, gateways: impl IntoIterator<Item = &Gateway>) {
        let clients = gateways.into_iter().map(Gateway::admin).collect();
        *self.0.clients.write().await = clients;
    }

    /// Requests that were answered.
    pub(super) fn sent(&self) -> usize {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Those of them that were answered by 503, which a busy machine may cause, and sent again.
    pub(super) fn sent_again(&self) -> usize {
        self.0.again.load(Ordering::Relaxed)
    }

    /// Sends a request to any of them, and again while it is answered by 503; the flag tells whether that happened.
    pub(super) async fn send(
        &self,
        rng: &mut fastrand::Rng,
        request: impl Fn(&Client) -> Call,
    ) -> (Answer, bool) {
        let deadline = Instant::now() + DEADLINE;
        let mut again = false;
        loop {
            let clients = self.0.clients.read().await;
            let answer = request(rng.choice(clients.as_slice()).unwrap()).await;
            drop(clients);
            self.0.sent.fetch_add(1, Ordering::Relaxed);
            if answer.status != 503 {
                return (answer, again);
            }
            assert!(Instant::now() < deadline, "{}", answer.text());
            self.0.again.fetch_add(1, Ordering::Relaxed);
            again = true;
        }
    }

    /// Sends the same request to each of them.
    pub(super) async fn send_to_each(&self, request: impl Fn(&Client) -> Call) -> Vec<Answer> {
        let clients = self.0.clients.read().await;
        let mut answers = Vec::new();
        for client in clients.iter() {
            answers.push(crate::support::persistently(|| request(client)).await);
        }
        answers
    }
}
