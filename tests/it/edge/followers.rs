//! Streams of events on real connections: silent ones live, and a client that does not read costs nobody anything.

use std::time::Duration;

use serde_json::{Value, json};
use session_gateway::http::app::app;

use super::server::{EdgeServer, patiently, settings};
use crate::support::{ADMIN_SECRET, Client, Follow, TestApp, open};

const REQUEST: &str =
    "GET /v1/events HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\nx-service-id: admin\r\n";

async fn server(followers: &str) -> (TestApp, EdgeServer) {
    let app_of_test = TestApp::with(&[("SGW_EVENT_FOLLOWERS", followers)]);
    let server = EdgeServer::start(app(app_of_test.state.clone()), settings()).await;
    (app_of_test, server)
}

/// Writes whose events are large: they tell the names of attributes.
async fn write(client: &Client, writes: usize) {
    let session = open(client, json!({"login_id": "ana"})).await;
    let names = |end: char| (0..250).map(move |n| format!("{n:0120}{end}"));
    for write in 0..writes {
        let patch = if write % 2 == 0 {
            names('a').map(|name| (name, json!(1))).collect()
        } else {
            names('a').map(|name| (name, Value::Null)).collect()
        };
        let call = client.patch(session.at("/attributes"));
        call.json(&Value::Object(patch)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let (app, server) = server("2").await;
    let mut deaf = server.connect().await;
    deaf.send(format!("{REQUEST}x-service-secret: {ADMIN_SECRET}\r\n\r\n"))
        .await;
    deaf.read_until("retry:").await;
    let admin = app.admin();
    let path = "/v1/events?types=session.changed";
    let mut reader = Follow::begin(&admin, path, None).await;
    let reading = tokio::spawn(async move { reader.take(400).await.len() });
    write(&admin, 400).await;
    assert_eq!(patiently(reading).await.unwrap(), 400);
    // There is room for two again: what it was sent went nowhere.
    patiently(async {
        let stream = || Follow::attempt(&admin, path, None);
        while stream().await.and(stream().await).is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let rest = deaf.read_to_end().await;
    assert!(!rest.ends_with("\r\n0\r\n\r\n"), "it did not end well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_outlives_every_deadline_of_its_connection() {
    let (app, server) = server("2").await;
    let client = app.admin().at(server.address);
    let mut follow = Follow::begin(&client, "/v1/events", None).await;
    follow.take(1).await;
    // Longer than the deadlines of this server for a header and for an answer that is not read.
    tokio::time::sleep(3 * settings().deadlines.write).await;
    open(&app.admin(), json!({"login_id": "ana"})).await;
    assert_eq!(follow.next().await.unwrap()["login_id"], "ana");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_makes_room() {
    let (app, server) = server("1").await;
    let client = app.admin().at(server.address);
    drop(Follow::begin(&client, "/v1/events", None).await);
    patiently(async {
        while Follow::attempt(&client, "/v1/events", None).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_well_when_the_server_shuts_down() {
    let (app, server) = server("5").await;
    let client = app.admin().at(server.address);
    let mut follow = Follow::begin(&client, "/v1/events?types=session.created", None).await;
    open(&app.admin(), json!({"login_id": "ana"})).await;
    follow.take(1).await;
    app.state.draining.begin();
    server.shut_down();
    assert_eq!(follow.next().await, None);
    assert!(follow.ended_well());
    assert_eq!(
        server.drained().await,
        session_gateway::server::Drained::Whole
    );
}
