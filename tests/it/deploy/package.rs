//! What `make packages` makes of a program.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::shipped;

/// Runs a command that must succeed, and returns what it prints.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Packs a program that only tells its version, where no engine of containers runs.
fn pack(directory: &Path) -> std::path::PathBuf {
    let program = directory.join("program");
    std::fs::write(&program, "#!/bin/sh\necho session-gateway 9.8.7\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let out = directory.join("packages");
    let mut script = Command::new(shipped("package.sh"));
    script.arg(&program).arg(&out);
    run(script
        .env("DOCKER_HOST", "unix:///nowhere")
        .env("CONTAINER_HOST", "unix:///nowhere"));
    out
}

#[test]
fn each_package_has_the_program_and_the_sum_of_its_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let out = pack(directory.path());
    let mut check = Command::new("sha256sum");
    let checked = run(check.args(["--check", "SHA256SUMS"]).current_dir(&out));
    let unpacked = directory.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let (mut tar, mut deb) = (0, 0);
    for file in checked.lines().filter_map(|line| line.strip_suffix(": OK")) {
        let path = out.join(file);
        let program = if file.ends_with(".tar.gz") {
            tar += 1;
            run(Command::new("tar")
                .arg("xzf")
                .arg(&path)
                .arg("-C")
                .arg(&unpacked));
            unpacked
                .join(file.trim_end_matches(".tar.gz"))
                .join("session-gateway")
        } else {
            deb += 1;
            let root = unpacked.join("root");
            run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&root));
            assert!(
                root.join("lib/systemd/system/session-gateway.service")
                    .exists()
            );
            let told = run(Command::new("dpkg-deb").arg("-f").arg(&path));
            assert!(told.contains("Version: 9.8.7"), "{told}");
            assert!(told.contains("ca-certificates"), "{told}");
            root.join("usr/bin/session-gateway")
        };
        let told = run(Command::new(program).arg("--version"));
        assert_eq!(told, "session-gateway 9.8.7\n");
    }
    assert_eq!((tar, deb), (1, 1), "{checked}");
}

#[test]
fn the_same_files_make_the_same_packages() {
    let sums = || {
        let directory = tempfile::tempdir().unwrap();
        std::fs::read_to_string(pack(directory.path()).join("SHA256SUMS")).unwrap()
    };
    assert_eq!(sums(), sums());
}
