//! The scripts: one operation each, made of what all share and their own part. A server that is full still runs what
//! ends sessions and what says whether they live.

use std::sync::LazyLock;

use super::link::Script;

const CLOCK: &str = include_str!("scripts/clock.lua");
const SHARD: &str = include_str!("scripts/shard.lua");
const SESSION: &str = include_str!("scripts/session.lua");
const TARGET: &str = include_str!("scripts/target.lua");

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $flags:literal, [$($part:expr),*], $file:literal;)+) => {
        $(
            $(#[$doc])*
            pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
                Script::new($flags, &[$($part,)* include_str!($file)])
            });
        )+
    };
}

scripts! {
    CREATE = "", [CLOCK, SHARD, SESSION], "scripts/create.lua";
    CHANGE = "", [CLOCK, SHARD, SESSION, TARGET], "scripts/change.lua";
    REFRESH = "", [CLOCK, SHARD, SESSION, TARGET], "scripts/refresh.lua";
    HEARTBEAT = "", [CLOCK, SHARD, SESSION, TARGET], "scripts/heartbeat.lua";
    MEET = "allow-oom", [CLOCK, SHARD, SESSION], "scripts/meet.lua";
    USE = "allow-oom", [CLOCK, SHARD, SESSION], "scripts/use.lua";
    END = "allow-oom", [CLOCK, SHARD, SESSION, TARGET], "scripts/end.lua";
    END_MANY = "allow-oom", [CLOCK, SHARD, SESSION], "scripts/end_many.lua";
    SWEEP = "allow-oom", [CLOCK, SHARD, SESSION], "scripts/sweep.lua";
    DUE = "no-writes", [CLOCK, SHARD], "scripts/due.lua";
    MEMBERS = "no-writes", [CLOCK, SHARD], "scripts/members.lua";
    FEED = "no-writes", [CLOCK, SHARD], "scripts/feed.lua";
    SERVICE = "", [CLOCK, SHARD], "scripts/service.lua";
    CLAIM = "", [CLOCK], "scripts/claim.lua";
    ANSWER = "", [CLOCK], "scripts/answer.lua";
    SWAP = "", [], "scripts/swap.lua";
    CHECK = "", [], "scripts/check.lua";
}
