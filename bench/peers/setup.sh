#!/usr/bin/env bash
# Installs what `make bench` needs beyond Rust: `setup.sh DIR` puts the npm packages of the node peer into DIR. Debian
# packages need root: without it the script names them and fails.
set -euo pipefail

readonly sources=$(dirname "$0")/express dir=$1/express

missing=()

# need PACKAGE COMMAND...: the Debian package is missing if the command fails.
need() {
    "${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

need redis-server redis-server --version
need redis-tools redis-benchmark --version
need webdis command -v webdis
need nodejs node --version
need npm npm --version
[ -z "${PROFILE:-}" ] || need linux-perf perf --version
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "install first, on Debian as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

mkdir -p "$dir"
if ! cmp -s "$sources/package-lock.json" "$dir/installed.json"; then
    cp "$sources"/{package.json,package-lock.json} "$dir"
    npm ci --prefix "$dir" --no-audit --no-fund --loglevel=error
    cp "$sources/package-lock.json" "$dir/installed.json"
fi
cp "$sources/server.js" "$dir"
