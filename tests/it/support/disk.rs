//! A disk of a size that a test chooses, which it can fill.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A file system in memory, unmounted when dropped. Mounting one takes root, as tests in CI have it.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    directory: TempDir,
}

const FILLER: &str = "filler";

impl SmallDisk {
    #[track_caller]
    pub(crate) fn of(mebibytes: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "test-disk"])
            .arg(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&mounted.stderr);
        assert!(
            mounted.status.success(),
            "a test of a full disk mounts one, which takes root: {said}"
        );
        Self { directory }
    }

    /// The store on it.
    pub(crate) fn store(&self) -> String {
        format!("embedded:{}", self.directory.path().join("data").display())
    }

    fn filler(&self) -> PathBuf {
        self.directory.path().join(FILLER)
    }

    /// Another program takes so much.
    pub(crate) fn take(&self, bytes: usize) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        file.write_all(&vec![7; bytes]).unwrap();
    }

    /// Another program takes all that is left.
    pub(crate) fn fill(&self) {
        for piece in [1 << 20, 4_096] {
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(self.filler())
                .unwrap();
            while file.write_all(&vec![7; piece]).is_ok() {}
        }
    }

    /// The other program gives back what it took.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    /// Lazily: a gateway that was killed just now may still have files open.
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("-l")
            .arg(self.directory.path())
            .status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}
