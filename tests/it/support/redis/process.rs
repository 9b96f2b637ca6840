//! A process that cannot outlive the tests.
//!
//! A shell starts it and then reads from a pipe that only this process holds: when the pipe closes, however this
//! process has ended, the shell kills it and removes its directory. (A death signal of the kernel would come when the
//! *thread* ends that started it.)

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A line tells it to kill the process and to leave the directory.
const GUARD: &str = r#"
trap '' HUP INT TERM
dir=$1; shift
"$@" </dev/null 2>&1 & process=$!
echo "$process" >&2
exec 2>/dev/null
read -r _ || gone=1
kill -9 "$process"
wait "$process"
[ -z "$gone" ] || rm -rf "$dir"
"#;

/// A process that is killed with this one.
#[derive(Debug)]
pub(super) struct GuardedProcess {
    guard: Child,
    id: Pid,
}

impl GuardedProcess {
    /// Starts it with its output in a file of its directory.
    pub(super) fn start(dir: &Path, words: &[&str]) -> Self {
        let log = File::create(dir.join("log")).unwrap();
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .arg(dir)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        let mut errors = BufReader::new(guard.stderr.take().unwrap());
        errors.read_line(&mut told).unwrap();
        let id = Pid::from_raw(told.trim().parse().unwrap());
        Self { guard, id }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(self.id, signal).unwrap();
    }

    /// `kill -9`; returns when it is gone. Its directory stays.
    pub(super) fn kill(mut self) {
        let mut pipe = self.guard.stdin.take().unwrap();
        pipe.write_all(b"\n").unwrap();
        self.guard.wait().unwrap();
    }
}
