#!/usr/bin/env bash
# Installs what `make lint` or `make test` needs beyond Rust, and does nothing where it is all there. Debian packages
# need root: without it the script names them and fails. All else goes into the target directory.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target=${CARGO_TARGET_DIR:-target}
readonly cargo_deny=0.20.2

missing=()

# need PACKAGE COMMAND...: the Debian package is missing if the command fails.
need() {
    "${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

install_missing() {
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]}" >&2
        echo "install them first, on Debian as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

lint_tools() {
    [ "$("$target/tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $cargo_deny" ] || return 0
    # A debug build takes a minute, a release build several; the check itself takes a second either way. Without the
    # shared target directory its dependencies stay apart from ours.
    env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install "cargo-deny@$cargo_deny" --quiet --locked --debug --force --root "$target/tools"
}

python_packages() {
    local venv=$target/sdk/venv
    ! cmp -s tests/sdk/requirements.txt "$venv/installed.txt" || return 0
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --no-deps --requirement tests/sdk/requirements.txt
    cp tests/sdk/requirements.txt "$venv/installed.txt"
}

npm_packages() {
    local project=$target/sdk/typescript
    ! cmp -s tests/sdk/typescript/package-lock.json "$project/installed.json" || return 0
    mkdir -p "$project"
    cp tests/sdk/typescript/{package.json,package-lock.json} "$project"
    npm ci --prefix "$project" --no-audit --no-fund --loglevel=error
    cp "$project/package-lock.json" "$project/installed.json"
}

need curl curl --version
need make make --version
need build-essential cc --version
case ${1:-} in
lint)
    install_missing
    lint_tools
    ;;
test)
    need redis-server redis-server --version
    need redis-sentinel redis-sentinel --version
    need redis-tools redis-cli --version
    need nginx-light nginx -v
    need haproxy haproxy -v
    need caddy caddy version
    need prometheus promtool --version
    need libfaketime compgen -G '/usr/lib/*/faketime/libfaketime.so.1'
    need python3-venv python3 -c 'import ensurepip, venv'
    need nodejs node --version
    need npm npm --version
    install_missing
    python_packages
    npm_packages
    ;;
*)
    echo "usage: $0 lint|test" >&2
    exit 2
    ;;
esac
