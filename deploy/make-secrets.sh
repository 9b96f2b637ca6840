#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts, in deploy/secrets, unless they are there.
set -euo pipefail
cd "$(dirname "$0")"
[ ! -d secrets ] || { echo "deploy/secrets is there already" >&2; exit 1; }

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# Only the owner gets in. The files in it can be read by all: containers have users of their own.
mkdir -m 0700 secrets
password=$(random)
sed "s/>change-me/>$password/" redis/users.acl >secrets/users.acl
echo "redis://session-gateway:$password@redis:6379/0" >secrets/sgw-store
random >secrets/sgw-admin
chmod 0644 secrets/*
