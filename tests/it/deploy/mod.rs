//! What is shipped in `deploy/` works as it is, host names aside.

use std::path::{Path, PathBuf};

mod composition;
mod nginx;
mod package;
mod redis;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name)
}
