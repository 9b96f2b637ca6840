//! What the figures were measured on and with. No names and no paths.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::settings;

/// Crates whose versions are told.
const CRATES: [&str; 4] = [
    "axum",
    "tower-sessions",
    "tower-sessions-redis-store",
    "sa-token-core",
];

const NPM_PACKAGES: [&str; 4] = ["express", "express-session", "connect-redis", "redis"];

/// One line on the machine.
pub(crate) fn machine() -> String {
    let cores = settings::cores();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib = memory.split_whitespace().nth(1).unwrap();
    let gib = kib.parse::<f64>().unwrap() / 1024.0 / 1024.0;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    format!("{cores} cores, {gib:.0} GiB, Linux {}", kernel.trim())
}

/// One line on the programs.
pub(crate) fn versions() -> String {
    let mut all = vec![
        output("rustc", &["--version"]),
        output("redis-server", &["--version"])
            .split(" sha")
            .next()
            .unwrap()
            .to_owned(),
        format!(
            "webdis {}",
            output("dpkg-query", &["-f", "${Version}", "-W", "webdis"])
        ),
        format!("node {}", output("node", &["--version"])),
    ];
    all.extend(CRATES.map(|name| format!("{name} {}", crate_version(name))));
    let lock: Value = serde_json::from_str(include_str!("../express/package-lock.json")).unwrap();
    all.extend(NPM_PACKAGES.map(|name| {
        let version = &lock["packages"][format!("node_modules/{name}")]["version"];
        format!("{name} (npm) {}", version.as_str().unwrap())
    }));
    all.join(", ")
}

/// The commit, and whether the tree has more than that.
pub(crate) fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    format!("{commit}{}", if changed { " with changes" } else { "" })
}

fn crate_version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let (_, entry) = lock
        .split_once(&format!("name = \"{name}\"\nversion = \""))
        .unwrap();
    entry.split('"').next().unwrap()
}

#[track_caller]
fn output(program: &str, arguments: &[&str]) -> String {
    let home: &Path = settings::home();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(home)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
