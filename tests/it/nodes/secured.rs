//! TLS and the user that ships, in every topology: the whole job is done with no more rights than that user has, and
//! with nobody whose certificate is not trusted.

use std::io::Write;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::gateways::Nodes;
use super::job::do_everything;
use crate::store::redis::Keyspace;
use crate::support::Launch;
use crate::support::redis::{ServerOptions, TestCertificates, Topology};

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

/// A gateway's way to it, over TLS, with one authority that is trusted.
fn trusting(topology: Topology, ca: &str) -> (Keyspace, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(ca.as_bytes()).unwrap();
    let path = file.path().to_owned();
    (Keyspace::secured(Arc::new(topology), path), file)
}

fn secured(certificates: &TestCertificates) -> ServerOptions {
    let options = ServerOptions::default().with_shipped_user();
    options.with_tls(certificates)
}

/// The program starts; the job is done in this process, where slow machines are waited for.
async fn the_job_is_done_with_the_trusted_authority<S>(start: impl Fn(ServerOptions) -> S)
where
    S: Future<Output = Topology>,
{
    let certificates = TestCertificates::new();
    let topology = start(secured(&certificates)).await;
    topology.never_fail_over().await;
    let (keyspace, _file) = trusting(topology, &certificates.ca);
    drop(keyspace.launch().start().await);
    let nodes = Nodes::start_on(keyspace).await;
    do_everything(&nodes.admin(0), &nodes.nobody(1)).await;
    nodes.close().await;
}

async fn another_authority_stops_the_start<S>(start: impl Fn(ServerOptions) -> S)
where
    S: Future<Output = Topology>,
{
    let topology = start(secured(&TestCertificates::new())).await;
    let other = TestCertificates::new();
    let (keyspace, _file) = trusting(topology, &other.ca);
    let line = last_line(&keyspace.launch());
    assert!(line.ends_with("invalid peer certificate: UnknownIssuer"));
    assert_eq!(line.matches("UnknownIssuer").count(), 1, "{line}");
}

async fn a_plain_port_stops_the_start<S>(start: impl Fn(ServerOptions) -> S)
where
    S: Future<Output = Topology>,
{
    let topology = start(ServerOptions::default().with_shipped_user()).await;
    let (keyspace, _file) = trusting(topology, &TestCertificates::new().ca);
    let line = last_line(&keyspace.launch());
    assert!(line.ends_with("timed out"), "{line}");
    for server in keyspace.servers() {
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
