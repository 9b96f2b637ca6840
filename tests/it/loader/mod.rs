//! Profiles that are loaded from the service that knows the users: when it is asked, how, and what its answers and
//! failures come to.

mod failures;
mod loads;
mod overtaken;
mod refresh;
mod requests;
mod secured;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Client, Manner, TestApp, TestLoader};

/// How long a request to the loader may take here, unless a test is about that: a busy machine is slow.
const PATIENT: &str = "10s";

/// As long as what is loaded is fresh.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// A gateway that loads profiles from here.
fn gateway(loader: &TestLoader) -> TestApp {
    with(loader, &[])
}

fn with(loader: &TestLoader, variables: &[(&str, &str)]) -> TestApp {
    let url = loader.url();
    let mut all = vec![
        ("SGW_PROFILE_LOADER_URL", url.as_str()),
        ("SGW_PROFILE_LOADER_TIMEOUT", PATIENT),
    ];
    all.extend(variables);
    TestApp::with(&all)
}

fn path(login: &str) -> String {
    format!("/v1/logins/{login}/profile")
}

async fn get(client: &Client, login: &str) -> Answer {
    client.get(path(login)).await
}

/// Asserts that a profile is read, and whether as stale.
async fn assert_read(client: &Client, login: &str, profile: &Value, stale: bool) {
    let read = get(client, login).await.value(200);
    assert_eq!((&read["profile"], &read["stale"]), (profile, &json!(stale)));
}

/// A loader that knows everybody as the same user, and what it knows.
async fn knowing(profile: Value) -> (TestLoader, Value) {
    (TestLoader::start(Manner::profile(&profile)).await, profile)
}
