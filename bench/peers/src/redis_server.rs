//! A Redis for the run: in memory only, nothing written to disk, and what it was asked.

use std::process::Command;

use redis::{Commands, Connection, InfoDict};

use crate::process::{Process, free_address};

/// How many values a pipeline writes.
const PIPELINE: usize = 10_000;

/// The commands by which all contenders look sessions up.
const READS: [&str; 2] = ["cmdstat_get", "cmdstat_hgetall"];

/// How many commands a server has served, those within scripts included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) all: u64,
    pub(crate) reads: u64,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) process: Process,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let address = free_address();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--port", &address.port().to_string()]);
        Self {
            process: Process::start(command, address, ""),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.process.address)
    }

    fn connect(&self) -> Connection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_connection().unwrap()
    }

    /// Sets this many values of this many bytes.
    pub(crate) fn fill(&self, count: usize, bytes: usize, key: impl Fn(usize) -> String) {
        let mut connection = self.connect();
        let value = "x".repeat(bytes);
        let keys: Vec<usize> = (0..count).collect();
        for part in keys.chunks(PIPELINE) {
            let mut pipeline = redis::pipe();
            for index in part {
                pipeline.set(key(*index), &value).ignore();
            }
            pipeline.query::<()>(&mut connection).unwrap();
        }
    }

    /// How many bytes the record of a session of the gateway has: names and values.
    pub(crate) fn record_bytes(&self) -> usize {
        let mut connection = self.connect();
        let mut keys = connection
            .scan_match::<_, Vec<u8>>("sgw:{*}:s:*")
            .unwrap()
            .map(Result::unwrap);
        let key = keys.next().unwrap();
        drop(keys);
        let fields: Vec<Vec<u8>> = connection.hgetall(key).unwrap();
        fields.iter().map(Vec::len).sum()
    }

    /// What was served so far.
    pub(crate) fn served(&self) -> Served {
        let mut connection = self.connect();
        let stats: InfoDict = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut connection)
            .unwrap();
        let mut served = Served { all: 0, reads: 0 };
        for (name, _) in stats.iter() {
            let stat: String = stats.get(name).unwrap();
            let (first, _) = stat.split_once(',').unwrap();
            let calls: u64 = first.strip_prefix("calls=").unwrap().parse().unwrap();
            served.all += calls;
            if READS.contains(&name.as_str()) {
                served.reads += calls;
            }
        }
        served
    }
}
