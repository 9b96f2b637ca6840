//! The servers of tests themselves.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::redis::{RedisServer, eventually};

/// Not a test of its own: the process that gets killed. It says where its servers are.
#[tokio::test]
#[ignore = "run by the test that kills it"]
async fn victim() {
    let (running, frozen) = (RedisServer::start().await, RedisServer::start().await);
    frozen.freeze();
    for server in [&running, &frozen] {
        let dir = server.directory().display();
        writeln!(std::io::stdout(), "server {} {dir}", server.port).unwrap();
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn no_server_outlives_a_test_process_that_is_killed() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("store::redis::servers::victim")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let servers = lines.map_while(Result::ok).filter_map(|line| {
        let (_, told) = line.split_once("server ")?;
        let (port, dir) = told.split_once(' ')?;
        Some((port.parse::<u16>().unwrap(), PathBuf::from(dir)))
    });
    let servers: Vec<_> = servers.take(2).collect();
    assert_eq!(servers.len(), 2);
    assert!(servers.iter().all(|(_, dir)| dir.exists()));
    victim.kill().unwrap();
    victim.wait().unwrap();
    for (port, dir) in servers {
        eventually(Duration::from_secs(20), || async {
            TcpStream::connect(("127.0.0.1", port)).is_err() && !dir.exists()
        })
        .await;
    }
}

#[tokio::test]
async fn no_two_servers_have_one_port() {
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..10 {
        starts.spawn(RedisServer::start());
    }
    let servers = starts.join_all().await;
    for server in &servers {
        let named: Vec<String> = server.ask("CONFIG GET dir").await;
        assert_eq!(named[1], server.directory().display().to_string());
    }
}
