//! The scripts: one operation each, made of what all share and their own part. A server that is full still runs what
//! ends sessions and what says whether they live.

use std::sync::LazyLock;

use super::link::Script;

const CLOCK: &str = include_str!("scripts/clock.lua");
const MESSAGE: &str = include_str!("scripts/message.lua");
const SHARD: &str = include_str!("scripts/shard.lua");
const SESSION: &str = include_str!("scripts/session.lua");
const TURN: &str = include_str!("scripts/turn.lua");
const BANS: &str = include_str!("scripts/bans.lua");
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
    CREATE = "", [CLOCK, MESSAGE, SHARD, SESSION, BANS], "scripts/create.lua";
    CHANGE = "", [CLOCK, MESSAGE, SHARD, SESSION, TARGET], "scripts/change.lua";
    REFRESH = "", [CLOCK, MESSAGE, SHARD, SESSION, TARGET], "scripts/refresh.lua";
    HEARTBEAT = "", [CLOCK, MESSAGE, SHARD, SESSION, TARGET], "scripts/heartbeat.lua";
    MEET = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION], "scripts/meet.lua";
    ROTATE = "", [CLOCK, MESSAGE, SHARD, SESSION, TURN], "scripts/rotate.lua";
    USE = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION], "scripts/use.lua";
    END = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION, TARGET], "scripts/end.lua";
    END_MANY = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION], "scripts/end_many.lua";
    END_SEEN = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION], "scripts/end_seen.lua";
    END_AGAIN = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION], "scripts/end_again.lua";
    ROTATE_AGAIN = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION, TURN], "scripts/rotate_again.lua";
    SWEEP = "allow-oom", [CLOCK, MESSAGE, SHARD, SESSION], "scripts/sweep.lua";
    BAN = "", [CLOCK, MESSAGE, SHARD, BANS], "scripts/ban.lua";
    UNBAN = "allow-oom", [CLOCK, MESSAGE, SHARD, BANS], "scripts/unban.lua";
    FIND_BAN = "no-writes", [CLOCK, MESSAGE, SHARD, BANS], "scripts/find_ban.lua";
    BAN_AGAIN = "", [CLOCK, MESSAGE, SHARD, BANS], "scripts/ban_again.lua";
    DUE = "no-writes", [CLOCK, MESSAGE, SHARD], "scripts/due.lua";
    MEMBERS = "no-writes", [CLOCK, MESSAGE, SHARD], "scripts/members.lua";
    CENSUS = "no-writes", [CLOCK, MESSAGE, SHARD], "scripts/census.lua";
    FEED = "no-writes", [CLOCK, MESSAGE, SHARD], "scripts/feed.lua";
    SERVICE = "", [CLOCK, MESSAGE, SHARD], "scripts/service.lua";
    BEAT = "allow-oom,allow-cross-slot-keys", [MESSAGE], "scripts/beat.lua";
    READ_HASH = "no-writes", [CLOCK], "scripts/read_hash.lua";
    WRITE_HASH = "", [CLOCK], "scripts/write_hash.lua";
    CLEAR_HASH = "allow-oom", [CLOCK], "scripts/write_hash.lua";
    SWAP = "", [], "scripts/swap.lua";
    CHECK = "", [], "scripts/check.lua";
}
