//! The scripts are held to the rules: random facts stand in a real Redis, an operation is made by its script and decided
//! by its rule over the same facts at the same moment, and must come to the same: what is left, what is told, and the
//! outcome.
//!
//! `SGW_TEST_DECISIONS` sets how many operations that are; 1,500 if it is not set. `SGW_TEST_SEED` makes them again.

use std::time::Duration;

use crate::model::id::{LoginId, ServiceId, SessionId};

mod facts;
mod operations;
mod requests;
mod tokens;
mod world;

use world::World;

const OPERATIONS: usize = 1_500;
/// Operations that follow each other on one login.
const HISTORY: usize = 40;

/// All moments and times are whole tens of seconds: what Redis itself drops after a time is there for the while of a test.
const STEP: Duration = Duration::from_secs(10);

#[tokio::test]
#[expect(
    clippy::print_stdout,
    reason = "what it takes to make a failure again, and how much was compared"
)]
async fn every_script_comes_to_what_its_rule_decides() {
    let operations =
        number("SGW_TEST_DECISIONS").map_or(OPERATIONS, |count| usize::try_from(count).unwrap());
    let seed = number("SGW_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("SGW_TEST_SEED={seed}");
    let mut world = World::open(seed).await;
    for made in 0..operations {
        if made % HISTORY == 0 {
            world.begin(made / HISTORY).await;
        }
        world.operate().await;
    }
    println!("{:?}", world.counts());
}

/// Sessions of a login: about as many as a limit looks at, and about as many as it can make room among.
const CROWDS: [u16; 5] = [190, 200, 215, 398, 402];

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what it takes to make a failure again")]
async fn a_limit_of_a_crowded_login_comes_to_what_its_rule_decides() {
    let seed = number("SGW_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("SGW_TEST_SEED={seed}");
    let mut world = World::open(seed).await;
    for (login, crowd) in CROWDS.into_iter().enumerate() {
        world.begin(login).await;
        world.open_many(crowd).await;
        for next in 0..5 {
            world.create_in_a_crowd(crowd + next).await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how much is tested is no setting of the gateway"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

fn services() -> [ServiceId; 2] {
    ["web", "game"].map(|id| ServiceId::parse(id).unwrap())
}

fn login(number: usize) -> LoginId {
    LoginId::parse(&format!("login-{number}")).unwrap()
}

fn session(login_id: &LoginId, number: u8, world: &World) -> SessionId {
    SessionId::new(world.now(), login_id, [number; 10])
}
