//! The scripts: one operation each, made of what all share and their own part. A server that is full still runs what
//! ends sessions and what says whether they live.

use super::connections::Script;

const ARGS: &str = include_str!("scripts/args.lua");
pub(super) const CLOCK: &str = include_str!("scripts/clock.lua");
pub(super) const MESSAGE: &str = include_str!("scripts/message.lua");
pub(super) const SHARD: &str = concat!(
    include_str!("scripts/clock.lua"),
    include_str!("scripts/message.lua"),
    include_str!("scripts/shard.lua"),
);
pub(super) const SESSION: &str = include_str!("scripts/session.lua");
pub(super) const SWAP_TOKEN: &str = include_str!("scripts/swap_token.lua");
pub(super) const BANS: &str = include_str!("scripts/bans.lua");
pub(super) const TARGET: &str = include_str!("scripts/target.lua");

/// A script of these parts, with what it takes in local variables of these names.
pub(super) fn script(flags: &str, parts: &[&str], fields: &[(&str, String)], own: &str) -> Script {
    let (names, reads): (Vec<_>, Vec<_>) = fields
        .iter()
        .map(|(name, read)| (*name, read.as_str()))
        .unzip();
    let takes = match names[..] {
        [] => String::new(),
        [..] => format!("local {} = {}", names.join(", "), reads.join(", ")),
    };
    let mut whole = vec![ARGS];
    whole.extend(parts);
    whole.extend([takes.as_str(), own]);
    Script::new(flags, &whole)
}
