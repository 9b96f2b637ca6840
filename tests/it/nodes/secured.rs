//! TLS and the user that ships, in every topology: the whole job is done with no more rights than that user has, and
//! with nobody whose certificate is not trusted.

use std::path::PathBuf;

use deadpool_redis::redis::Value as Reply;
use serde_json::json;

use crate::support::redis::{SHIPPED_USER, ServerOptions, TestCertificates, Topology};
use crate::support::{Gateway, Launch, open};

macro_rules! in_every_topology {
    ($($case:ident),+ $(,)?) => {
        in_every_topology!(standalone: $($case),+);
        in_every_topology!(sentinel: $($case),+);
        in_every_topology!(cluster: $($case),+);
    };
    ($topology:ident: $($case:ident),+) => {
        mod $topology {
            use crate::support::redis::{ServerOptions, Topology};

            async fn start(options: ServerOptions) -> Topology {
                Topology::$topology(&options).await
            }

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    super::$case(start).await;
                }
            )+
        }
    };
}

in_every_topology! {
    the_job_is_done_with_the_trusted_authority,
    another_authority_stops_the_start,
    a_plain_port_stops_the_start,
}

/// A launch over TLS that trusts one authority.
fn launch(topology: &Topology, ca: &str) -> Launch {
    let launch = Launch::new();
    let file: PathBuf = launch.directory().join("ca.pem");
    std::fs::write(&file, ca).unwrap();
    launch
        .unset("SGW_STORE")
        .set("SGW_STORE", &topology.url("rediss", SHIPPED_USER))
        .set("SGW_REDIS_CA_FILE", file.to_str().unwrap())
}

fn secured(certificates: &TestCertificates) -> ServerOptions {
    let options = ServerOptions::default().with_shipped_user();
    options.with_tls(certificates)
}

async fn the_job_is_done_with_the_trusted_authority<S>(start: impl Fn(ServerOptions) -> S)
where
    S: Future<Output = Topology>,
{
    let certificates = TestCertificates::new();
    let topology = start(secured(&certificates)).await;
    topology.never_fail_over().await;
    let gateway = launch(&topology, &certificates.ca).start().await;
    do_the_job(&gateway).await;
    for server in topology.servers() {
        let denied: Vec<Reply> = server.ask("ACL LOG").await;
        assert_eq!(denied, []);
    }
}

async fn do_the_job(gateway: &Gateway) {
    let shop = gateway.service("shop", &["*"]).await;
    for login in ["u", "v", "w"] {
        let limited = json!({"login_id": login, "limit": {"max": 2}});
        open(&shop, limited.clone()).await;
        let session = open(&shop, limited.clone()).await;
        open(&shop, limited).await;
        let color = session.at("/attributes/color");
        shop.put(&color).json(&json!("red")).await.expect(201);
        let n = session.at("/attributes/n/increment");
        shop.post(n).json(&json!({"by": 2})).await.expect(200);
        let refresh = shop.post(session.at("/refresh")).json(&json!({}));
        refresh.await.expect(200);
        shop.post(session.at("/heartbeat")).await.expect(200);
        let verify = || {
            let token = json!({"token": session.token});
            shop.post("/v1/tokens/verify").json(&token)
        };
        let verified = verify().await.value(200);
        let attributes = &verified["session"]["attributes"];
        assert_eq!(*attributes, json!({"color": "red", "n": 2}));
        let sessions = format!("/v1/logins/{login}/sessions");
        let listed = shop.get(&sessions).await.value(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
        let ended = shop.delete(&sessions).await.value(200);
        assert_eq!(ended["count"], 2);
        assert_eq!(verify().await.value(200)["reason"], "logout");
    }
    let total = shop.get("/v1/sessions?total=true").await.value(200);
    assert_eq!(total["total"], 0);
    let events = shop.get("/v1/events?types=session.ended").await.value(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 9);
    gateway.nobody().get("/readyz").await.expect(200);
}

async fn another_authority_stops_the_start<S>(start: impl Fn(ServerOptions) -> S)
where
    S: Future<Output = Topology>,
{
    let topology = start(secured(&TestCertificates::new())).await;
    let other = TestCertificates::new();
    let line = last_line(&launch(&topology, &other.ca));
    assert!(line.ends_with("invalid peer certificate: UnknownIssuer"));
}

async fn a_plain_port_stops_the_start<S>(start: impl Fn(ServerOptions) -> S)
where
    S: Future<Output = Topology>,
{
    let topology = start(ServerOptions::default().with_shipped_user()).await;
    let line = last_line(&launch(&topology, &TestCertificates::new().ca));
    assert!(line.ends_with("timed out"), "{line}");
    for server in topology.servers() {
        assert_eq!(server.ask::<i64>("DBSIZE").await, 0);
    }
}

/// What it says at last, of why it does not start.
#[track_caller]
fn last_line(launch: &Launch) -> String {
    let output = launch.output();
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("change-me"), "{stderr}");
    let line = stderr.lines().last().unwrap();
    let start = "session-gateway: SGW_STORE: rediss";
    assert!(line.starts_with(start), "{stderr}");
    line.to_owned()
}
