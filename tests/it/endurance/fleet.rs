//! Several gateways on one Redis, killed and started again while clients call them.

use std::sync::{Arc, RwLock};

use crate::support::{Client, Gateway, Launch};

/// Running gateways.
pub(super) struct Fleet {
    launch: Launch,
    gateways: Vec<Gateway>,
    clients: Clients,
    /// What those that are gone have written.
    written: String,
}

/// The built-in service as a client of whatever runs at the moment.
#[derive(Clone)]
pub(super) struct Clients(Arc<RwLock<Vec<Client>>>);

impl Fleet {
    pub(super) async fn start(launch: Launch, count: usize) -> Self {
        let mut gateways = Vec::new();
        for _ in 0..count {
            gateways.push(launch.clone().start().await);
        }
        let clients = gateways.iter().map(Gateway::admin).collect();
        Self {
            launch,
            gateways,
            clients: Clients(Arc::new(RwLock::new(clients))),
            written: String::new(),
        }
    }

    pub(super) fn clients(&self) -> Clients {
        self.clients.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.gateways.len()
    }

    /// `kill -9`, and another in its place.
    pub(super) async fn kill_and_restart(&mut self, which: usize) {
        let killed = self.gateways.remove(which);
        self.written += &killed.stderr();
        drop(killed);
        self.put(which).await;
    }

    /// Lets one end in its own time, and starts another in its place. Fails unless it ends well.
    pub(super) async fn replace(&mut self, which: usize) {
        let mut leaving = self.gateways.remove(which);
        leaving.signal(nix::sys::signal::Signal::SIGTERM);
        let status = leaving.ended().await;
        assert_eq!(status.code(), Some(0), "{}", leaving.stderr());
        self.put(which).await;
    }

    /// What was written of errors, by those that are gone too.
    pub(super) fn errors(&self) -> Vec<String> {
        let written = self.gateways.iter().map(Gateway::stderr);
        let written = written.chain([self.written.clone()]).collect::<String>();
        let errors = written.lines().filter(|line| line.contains("ERROR"));
        errors.map(str::to_owned).collect()
    }

    async fn put(&mut self, which: usize) {
        let gateway = self.launch.clone().start().await;
        self.clients.0.write().unwrap()[which] = gateway.admin();
        self.gateways.insert(which, gateway);
    }
}

impl Clients {
    pub(super) fn get(&self, which: usize) -> Client {
        let clients = self.0.read().unwrap();
        clients[which % clients.len()].clone()
    }
}
