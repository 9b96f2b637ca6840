#!/usr/bin/env bash
# Checks the arrows of ARCHITECTURE.md that the compiler does not: who may use whom.
set -euo pipefail
cd "$(dirname "$0")/../src"

broken=0

# never RULE PATTERN PATH...: no line of the paths, as far as they exist, may match the pattern.
never() {
    local paths=() path
    for path in "${@:3}"; do
        [ ! -e "$path" ] || paths+=("$path")
    done
    [ ${#paths[@]} -gt 0 ] || return 0
    if grep -rnP --include='*.rs' --exclude=tests.rs "$2" "${paths[@]}"; then
        echo "^ $1" >&2
        broken=1
    fi
}

# only ROOM ROOMS: of our own rooms the room uses no other than these, separated by `|`, and itself.
only() {
    never "$1 uses no room but ${2//|/, }" "\\bcrate::(?!($1|$2)\\b)" "$1" "$1.rs"
}

# everywhere_but PATTERN: the files of src whose path does not match.
everywhere_but() {
    find . -name '*.rs' | grep -vE "$1"
}

mapfile -t outside_store < <(everywhere_but '^./store/')
mapfile -t outside_traces < <(everywhere_but '^./telemetry/traces/')
mapfile -t inside < <(everywhere_but '^./outbound/')
# The loader of profiles is asked by HTTP.
mapfile -t use_cases < <(find ./gateway -name '*.rs' | grep -vE '^./gateway/profile/')
mapfile -t outside_config < <(everywhere_but '^./config(/|\.rs$)|/tests/')

never 'model, rules and store know no web framework' '\b(axum|axum_extra|http|http_body_util|hyper|hyper_util|tower|tower_http)::' model rules store
never 'rules do not wait, and ask nobody for the time or for chance' '\b(async|await)\b|\b(clock|entropy)::|::now\(|\b(tokio|rand|redb|redis)::' rules
never 'drivers stay in the store' '(^|[^:])\b(deadpool|deadpool_redis|redb|redis|sqlx)::' "${outside_store[@]}"
never 'spans are made in telemetry::traces' '\bopentelemetry\w*::' "${outside_traces[@]}"
never 'only outbound asks others by HTTP' '\bhyper_util::client\b|\bHttpsConnector|\bhyper::client\b' "${inside[@]}"
never 'only config reads the environment' '\b(std::env\b|env::vars?(_os)?\b|dotenvy::)' "${outside_config[@]}"

never 'gateway knows no web framework and no wire types' '\b(axum|axum_extra|hyper|tower|tower_http|serde_json|utoipa)::' "${use_cases[@]}"

only model 'model'
only clock 'model'
only certificates 'certificates'
only outbound 'certificates'
only telemetry 'model'
only rules 'model'
only store 'model|rules|clock|certificates|telemetry'
only entropy 'model'
only seal 'model'
only gateway 'model|rules|seal|entropy|store|certificates|outbound|telemetry'
only http 'gateway|model|entropy|telemetry'
only server 'http|model|store|telemetry'
never 'the contract of the store and what a node needs know no engine' '\bstore::(embedded|redis)\b' store/*.rs store/node
for engine in embedded redis; do
    never "$engine uses no other engine" "\\bstore::(?!$engine\\b)(embedded|redis)\\b" "store/$engine"
done

exit "$broken"
