//! The forms of `SGW_LISTEN`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::support::{Gateway, Launch};

fn on(listen: &str) -> Launch {
    Launch::new().unset("SGW_LISTEN").set("SGW_LISTEN", listen)
}

/// Whether this machine has IPv6.
fn has_v6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

async fn assert_answers(gateway: &Gateway, address: SocketAddr) {
    let shown = gateway.stderr();
    assert!(shown.contains(&format!("http://{address}")), "{shown}");
    let there = gateway.nobody().at(address);
    // Who asks from this machine is known as such, whatever the family.
    there.get("/metrics").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_listened_on_at_all_its_addresses() {
    let gateway = on("localhost:0").start().await;
    let port = gateway.address().port();
    let found = ("localhost", port).to_socket_addrs().unwrap();
    for address in found.filter(|address| address.is_ipv4() || has_v6()) {
        assert_answers(&gateway, address).await;
    }
    let stderr = gateway.stderr();
    assert!(!stderr.contains("WARN"), "{stderr}");
    let healthcheck = on(&format!("localhost:{port}")).arguments(&["healthcheck"]);
    assert!(healthcheck.output().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_alone_is_listened_on_on_all_interfaces_by_both_families() {
    let gateway = on(":0").start().await;
    let port = gateway.address().port();
    assert_answers(&gateway, (Ipv4Addr::LOCALHOST, port).into()).await;
    if has_v6() {
        assert_answers(&gateway, (Ipv6Addr::LOCALHOST, port).into()).await;
    }
    let stderr = gateway.stderr();
    let wanted = "SGW_LISTEN=:0 opens the gateway to every network without TLS";
    assert!(stderr.contains(wanted), "{stderr}");
    let healthcheck = on(&format!(":{port}")).arguments(&["healthcheck"]);
    assert!(healthcheck.output().status.success());
}

#[test]
fn a_name_that_nobody_knows_is_told_in_one_line() {
    let output = on("nowhere.invalid:8080").output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let wanted = "SGW_LISTEN: cannot listen on nowhere.invalid:8080: ";
    assert!(stderr.contains(wanted), "{stderr}");
}
