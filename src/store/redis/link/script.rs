//! A Lua script, named by its SHA-1 as Redis names it.

use std::fmt;
use std::sync::OnceLock;

use deadpool_redis::redis::{self, Cmd};

/// A script that works in one slot, kept in a `static`. Its source starts with `#!lua` and the script's flags, so that
/// Redis refuses it before its first write where it may not run.
pub(in crate::store::redis) struct Script {
    name: &'static str,
    source: &'static str,
    sha: OnceLock<String>,
}

impl Script {
    pub(in crate::store::redis) const fn new(name: &'static str, source: &'static str) -> Self {
        Self {
            name,
            source,
            sha: OnceLock::new(),
        }
    }

    /// The call of a script that the node is expected to know.
    pub(super) fn by_sha(&self, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
        let sha = self
            .sha
            .get_or_init(|| redis::Script::new(self.source).get_hash().to_owned());
        invocation("EVALSHA", sha, keys, args)
    }

    /// The call that also makes the script known to the node.
    pub(super) fn by_source(&self, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
        invocation("EVAL", self.source, keys, args)
    }
}

fn invocation(name: &str, script: &str, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(keys).arg(args);
    command
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.name).finish()
    }
}
