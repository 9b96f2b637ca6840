#!/usr/bin/env bash
# Builds the gateway of the commit that tests/upgrade/since names, once, and tells where it is. New gateways must run
# beside it, and on what it has stored.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
since=$(<tests/upgrade/since)
kept=$target/upgrade/$since
program=$kept/session-gateway

build() {
    if ! git cat-file -e "$since^{commit}" 2>/dev/null; then
        echo "commit $since is not in this clone: git fetch --unshallow" >&2
        exit 1
    fi
    local source=$kept/source
    rm -rf "$source"
    mkdir -p "$source"
    git archive "$since" | tar -x -C "$source"
    # Under a name of its own it can be built into the directory of today's program, whose dependencies it shares; they
    # are compiled as for tests, which an empty one sees to.
    sed -i '/^\[\[bin\]\]/,/^$/s/^name = .*/name = "session-gateway-since"/' "$source/Cargo.toml"
    echo '//! Nothing.' >"$source/tests/dependencies.rs"
    env --chdir="$source" CARGO_TARGET_DIR="$target" \
        cargo build --quiet --locked --bin session-gateway-since --test dependencies >&2
    mv "$target/debug/session-gateway-since" "$program"
    rm -rf "$source"
}

mkdir -p "$kept"
exec 9>"$kept/lock"
flock 9
[ -x "$program" ] || build
echo "$program"
