#!/usr/bin/env bash
# Packs a built program: deploy/package.sh PROGRAM DIRECTORY makes a tar, a Debian package where dpkg-deb is, an image
# where docker or podman runs, and SHA256SUMS of them all.
set -euo pipefail

program=$(realpath "$1")
out=$(realpath -m "$2")
cd "$(dirname "$0")/.."
version=$("$program" --version | cut -d' ' -f2)
name=session-gateway-$version-linux-$(uname -m)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# The same files make the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

rm -rf "$out"
mkdir -p "$out"

make_tar() {
    local tree=$root/$name
    install -D --mode=0755 "$program" "$tree/session-gateway"
    cp -r README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT .env.example deploy openapi "$tree"
    rm -rf "$tree/deploy/secrets"
    tar --directory "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        --create "$name" | gzip --no-name >"$out/$name.tar.gz"
}

make_deb() {
    command -v dpkg-deb >/dev/null || return 0
    local tree=$root/deb machine libc
    machine=$(dpkg --print-architecture)
    libc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)
    install -D --mode=0755 "$program" "$tree/usr/bin/session-gateway"
    install -D --mode=0644 deploy/session-gateway.service "$tree/lib/systemd/system/session-gateway.service"
    install -D --mode=0644 --target-directory="$tree/usr/share/doc/session-gateway" README.md CHANGELOG.md .env.example
    cat LICENSE-MIT LICENSE-APACHE >"$tree/usr/share/doc/session-gateway/copyright"
    mkdir "$tree/DEBIAN"
    cat >"$tree/DEBIAN/control" <<CONTROL
Package: session-gateway
Version: $version
Architecture: $machine
Maintainer: The session-gateway project
Depends: ca-certificates, libc6 (>= $libc)
Section: net
Priority: optional
Description: session server for microservices
 Keeps the login sessions of a system's users and answers its services over HTTP.
CONTROL
    dpkg-deb --build --root-owner-group -Zgzip "$tree" "$out/session-gateway_${version}_$machine.deb" >/dev/null
}

make_image() {
    local engine
    for engine in docker podman; do
        if "$engine" info >/dev/null 2>&1; then
            "$engine" build --tag "session-gateway:$version" .
            "$engine" save "session-gateway:$version" | gzip --no-name >"$out/$name-image.tar.gz"
            return
        fi
    done
    echo "no image: neither docker nor podman runs here" >&2
}

make_tar
make_deb
make_image
cd "$out"
sha256sum -- * >SHA256SUMS
