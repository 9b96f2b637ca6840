//! Random histories: steps that a store is taken through, and the time between them.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};

pub(crate) const LOGINS: [&str; 3] = ["alice", "bob", "carol"];
pub(crate) const NAMES: [&str; 2] = ["a", "b"];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Create(Draft),
    Find(Index),
    Verify(Index, usize, bool),
    Put(Index, usize, i64),
    PutText(Index, usize),
    Remove(Index, usize),
    Increment(Index, usize, i64),
    Refresh(Index, Option<u64>),
    Heartbeat(Index),
    End(Index),
    Revoke(Index, usize),
    Rotate(Index, usize),
    Ban(usize, Option<u64>),
    Unban(usize),
    FindBan(usize),
    EndAll(usize, Option<Index>, Option<&'static str>),
    List(Option<usize>, usize),
    Count,
    Sum(usize),
    Sweep,
    Reopen,
}

#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) login: usize,
    pub(crate) device: Option<&'static str>,
    pub(crate) token: Option<u8>,
    pub(crate) limit: Option<SessionLimit>,
    pub(crate) idle: Duration,
    pub(crate) max_age: Duration,
    pub(crate) connecting: bool,
}

fn drafts() -> impl Strategy<Value = Draft> {
    let seconds =
        |choices: [u64; 3]| prop::sample::select(choices.map(Duration::from_secs).to_vec());
    (
        0..LOGINS.len(),
        devices(),
        prop::option::weighted(0.3, 0..3_u8),
        prop::option::weighted(0.5, limits()),
        seconds([2, 60, 1_800]),
        seconds([5, 600, 86_400]),
        any::<bool>(),
    )
        .prop_map(
            |(login, device, token, limit, idle, max_age, connecting)| Draft {
                login,
                device,
                token,
                limit,
                idle,
                max_age,
                connecting,
            },
        )
}

fn devices() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(vec!["web", "ios"]))
}

fn limits() -> impl Strategy<Value = SessionLimit> {
    let per = prop::sample::select(vec![LimitPer::Login, LimitPer::Device]);
    let overflow = prop::sample::select(vec![
        Overflow::EvictOldest,
        Overflow::EvictLeastActive,
        Overflow::Refuse,
    ]);
    (1..4_usize, per, overflow).prop_map(|(max, per, overflow)| SessionLimit { max, per, overflow })
}

fn steps() -> impl Strategy<Value = Step> {
    let who = any::<Index>;
    let name = || 0..NAMES.len();
    let login = || 0..LOGINS.len();
    // Mostly the present token.
    let ago = || prop::sample::select(vec![0, 0, 0, 0, 1, 1, 2, 9]);
    prop_oneof![
        6 => drafts().prop_map(Step::Create),
        2 => who().prop_map(Step::Find),
        5 => (who(), ago(), any::<bool>()).prop_map(|(who, ago, touch)| Step::Verify(who, ago, touch)),
        2 => (who(), name(), any::<i64>()).prop_map(|(who, name, n)| Step::Put(who, name, n)),
        1 => (who(), name()).prop_map(|(who, name)| Step::PutText(who, name)),
        1 => (who(), name()).prop_map(|(who, name)| Step::Remove(who, name)),
        2 => (who(), name(), -3..4_i64).prop_map(|(who, name, by)| Step::Increment(who, name, by)),
        2 => (who(), prop::option::of(1..4_000_u64)).prop_map(|(who, ttl)| Step::Refresh(who, ttl)),
        2 => who().prop_map(Step::Heartbeat),
        2 => who().prop_map(Step::End),
        1 => (who(), ago()).prop_map(|(who, ago)| Step::Revoke(who, ago)),
        4 => (who(), ago()).prop_map(|(who, ago)| Step::Rotate(who, ago)),
        1 => (login(), prop::option::of(prop::sample::select(vec![1, 60, 4_000])))
            .prop_map(|(login, seconds)| Step::Ban(login, seconds)),
        1 => login().prop_map(Step::Unban),
        1 => login().prop_map(Step::FindBan),
        1 => (login(), prop::option::of(who()), devices())
            .prop_map(|(login, except, device)| Step::EndAll(login, except, device)),
        1 => (prop::option::of(login()), 1..4_usize)
            .prop_map(|(login, items)| Step::List(login, items)),
        1 => Just(Step::Count),
        1 => login().prop_map(Step::Sum),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ]
}

/// Steps, each after some time has gone by. Never none: which of two uses in one millisecond was the later is nobody's
/// to say.
pub(crate) fn histories() -> impl Strategy<Value = Vec<(Duration, Step)>> {
    let choices = [
        1, 1, 20, 300, 1_500, 20_000, 300_000, 1_900_000, 4_000_000, 90_000_000,
    ];
    let waits = prop::sample::select(choices.map(Duration::from_millis).to_vec());
    prop::collection::vec((waits, steps()), 1..40)
}
