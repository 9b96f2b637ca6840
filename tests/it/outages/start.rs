//! What stops the start of a gateway on Redis, in one line that tells why and no secret.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::{launch, patiently};
use crate::support::redis::RedisServer;

/// The last line of a start that failed.
async fn refusal(store: String) -> String {
    let launch = launch(&store);
    let output = tokio::task::spawn_blocking(move || launch.output());
    let output = output.await.unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("s3cret"), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("session-gateway: SGW_STORE"), "{stderr}");
    last.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_up_stops_the_start() {
    let told = refusal("redis://:s3cret@127.0.0.1:1".to_owned()).await;
    assert!(told.contains("127.0.0.1:1"), "{told}");
    assert!(told.contains("Connection refused"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_no_writes_yet_is_waited_for() {
    let redis = RedisServer::start().await;
    redis.ask::<()>("CLIENT PAUSE 1000 WRITE").await;
    let gateway = launch(&redis.url()).unset("SGW_ADMIN_SECRET").start().await;
    let stderr = gateway.stderr();
    let (_, secret) = stderr.split_once("sgs_").expect("a secret is shown");
    let secret = format!("sgs_{}", secret.split_whitespace().next().unwrap());
    let admin = gateway.nobody().as_service("admin", &secret);
    patiently(|| admin.get("/v1/whoami")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_none_stops_the_start() {
    let told = refusal("redis:127.0.0.1".to_owned()).await;
    assert!(told.contains("must start with redis://"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_stops_the_start() {
    let redis = RedisServer::start().await;
    let told = refusal(format!("redis://gate:s3cret@127.0.0.1:{}", redis.port)).await;
    assert!(
        told.contains(&format!("127.0.0.1:{}", redis.port)),
        "{told}"
    );
    assert!(told.contains("authentication failed"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_password_stops_the_start() {
    let redis = RedisServer::start().await;
    redis.ask::<()>("CONFIG SET requirepass s3cret").await;
    let told = refusal(redis.url()).await;
    assert!(told.contains("Authentication required"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_or_sentinel_that_does_not_know_the_password_stops_the_start() {
    let redis = RedisServer::start().await;
    let (port, login) = (redis.port, "gate:s3cret");
    for store in [
        format!("redis+cluster://{login}@127.0.0.1:{port}"),
        format!(
            "redis+sentinel://127.0.0.1:{port}/main?sentinel_username=gate&sentinel_password=s3cret"
        ),
    ] {
        let told = refusal(store).await;
        assert!(told.contains(&format!("127.0.0.1:{port}")), "{told}");
        assert!(told.contains("authentication failed"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_that_is_written_there_stops_the_start() {
    let redis = RedisServer::start().await;
    redis.ask::<()>("SET sgw:{services}:f 4").await;
    let told = refusal(redis.url()).await;
    let why = "gateways write format 4 there, and this one goes no further than format 3";
    assert!(told.ends_with(why), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_redis_stops_the_start() {
    let redis = RedisServer::start().await;
    let version = redis.info("redis_version").await;
    let old = format!("6.{}", version.split_once('.').unwrap().1);
    let told = refusal(format!(
        "redis://127.0.0.1:{}",
        aged(redis.port, version, old).await
    ))
    .await;
    assert!(
        told.contains("it is Redis 6.0, and 7.0 is needed"),
        "{told}"
    );
}

/// The port of a proxy that replaces a text in replies by another of the same length.
async fn aged(server: u16, text: String, other: String) -> u16 {
    assert_eq!(text.len(), other.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
            let (text, other) = (text.clone(), other.clone());
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                    let reply = String::from_utf8_lossy(&bytes[..length]).replace(&text, &other);
                    to_client.write_all(reply.as_bytes()).await.unwrap();
                }
            });
        }
    });
    port
}
