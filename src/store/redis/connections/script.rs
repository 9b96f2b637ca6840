//! A Lua script, named by its SHA-1 as Redis names it.

use deadpool_redis::redis::{self, Cmd};

use super::gate::Urgency;

/// A script that works in one slot. It has a header, so that Redis refuses it before its first write where it may not run.
#[derive(Debug)]
pub(in crate::store::redis) struct Script {
    source: String,
    hash: String,
    writes: bool,
    urgency: Urgency,
}

impl Script {
    /// `flags` as in the header of the script: `allow-oom`, `no-writes`.
    pub(in crate::store::redis) fn new(flags: &str, parts: &[&str]) -> Self {
        let header = match flags {
            "" => "#!lua".to_owned(),
            flags => format!("#!lua flags={flags}"),
        };
        let source = format!("{header}\n{}", parts.join("\n"));
        let hash = redis::Script::new(&source).get_hash().to_owned();
        let has = |wanted| flags.split(',').any(|flag| flag == wanted);
        Self {
            source,
            hash,
            writes: !has("no-writes"),
            // What a server that is full still runs is also what one that has too much to do runs first.
            urgency: if has("allow-oom") {
                Urgency::First
            } else {
                Urgency::Later
            },
        }
    }

    /// Whether it may write anything.
    pub(in crate::store::redis) fn writes(&self) -> bool {
        self.writes
    }

    pub(super) fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// The call of a script that the node is expected to know.
    pub(super) fn by_hash(&self, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
        call("EVALSHA", &self.hash, keys, args)
    }

    /// The call that also makes the script known to the node.
    pub(super) fn by_source(&self, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
        call("EVAL", &self.source, keys, args)
    }
}

fn call(name: &str, script: &str, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
    let mut call = redis::cmd(name);
    call.arg(script).arg(keys.len()).arg(keys).arg(args);
    call
}
