//! The program that is upgraded from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Built from its commit if it was not before, which takes minutes.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_BIN_EXE_session-gateway"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upgrade/build.sh");
    let mut build = Command::new(script);
    build.env("CARGO_TARGET_DIR", target.ancestors().nth(2).unwrap());
    let built = build.output().unwrap();
    let why = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{why}");
    String::from_utf8(built.stdout).unwrap().trim().into()
});

pub(super) fn program() -> &'static Path {
    &PROGRAM
}
