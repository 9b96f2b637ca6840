//! TLS, and the least rights that do.

use std::io::Write;

use super::servers::{RedisServer, ServerOptions, TestCertificates};
use super::*;
use crate::certificates::CaFileError;

const USERS: &str = include_str!("../../../../../deploy/redis/users.acl");

fn ca_file(pem: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    file
}

async fn tls_server(certificates: &TestCertificates) -> RedisServer {
    RedisServer::start_with(ServerOptions {
        tls_files: certificates.files(),
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_with_the_authority_that_was_given() {
    let certificates = TestCertificates::new();
    let server = tls_server(&certificates).await;
    let file = ca_file(&certificates.ca);
    let mut settings = settings(&format!("rediss://127.0.0.1:{}", server.port));
    settings.ca_file = Some(file.path().to_owned());
    let connections = Connections::open(&settings).await.unwrap();
    set(&connections, Slot::Shard(0), "any", "1").await.unwrap();
    assert_eq!(
        get(&connections, Slot::Shard(0), "any").await.unwrap(),
        text("1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_and_a_plain_port_are_refused() {
    let certificates = TestCertificates::new();
    let server = tls_server(&certificates).await;
    let plain = RedisServer::start().await;
    let other = ca_file(&TestCertificates::new().ca);
    let own = ca_file(&certificates.ca);
    for (port, file) in [(server.port, &other), (plain.port, &own)] {
        let mut settings = settings(&format!("rediss://127.0.0.1:{port}"));
        settings.ca_file = Some(file.path().to_owned());
        let opened = Connections::open(&settings).await;
        assert!(matches!(opened, Err(OpenError::Unusable { .. })), "{port}");
    }
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_named() {
    let nonsense = ca_file("no certificate");
    let mut settings = settings("rediss://127.0.0.1:1");
    settings.ca_file = Some(nonsense.path().to_owned());
    let refused = Connections::open(&settings).await;
    assert!(
        matches!(
            refused,
            Err(OpenError::CaFile(CaFileError::NoCertificate { .. }))
        ),
        "{refused:?}"
    );
    settings.ca_file = Some("/no/such/file".into());
    let missing = Connections::open(&settings).await;
    assert!(matches!(
        missing,
        Err(OpenError::CaFile(CaFileError::Unreadable { .. }))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_users_may_do_what_connections_need_and_no_more() {
    let operator = "user operator on >operator ~* &* +@all\n";
    let server = RedisServer::start_with(ServerOptions {
        users: Some(format!("{USERS}{operator}")),
        login: Some(("operator".to_owned(), "operator".to_owned())),
        ..ServerOptions::default()
    })
    .await;
    let mut settings = settings(&format!(
        "redis://session-gateway:change-me@127.0.0.1:{}/2",
        server.port
    ));
    settings.wait_replicas = 1;
    let connections = Connections::open(&settings).await.unwrap();
    let mut heard = connections.subscribe("sgw:feed");
    add(&connections, Slot::Shard(0), Effect::Once)
        .await
        .unwrap();
    let keys = [key(Slot::Shard(0), "count").into_bytes()];
    let args = [b"1".to_vec()];
    let alone = connections.replicated_script(Slot::Shard(0), &ADD, &keys, &args, Effect::Once);
    assert!(alone.await.is_err());
    heard.recv().await.unwrap();
    let denied: Vec<Value> = server.ask("ACL LOG").await;
    assert_eq!(denied, []);
    for command in ["FLUSHALL", "KEYS", "CONFIG"] {
        let refused = connections
            .command(Slot::Shard(0), redis::cmd(command).arg("*"))
            .await;
        assert!(refused.is_err(), "{command}");
    }
}
