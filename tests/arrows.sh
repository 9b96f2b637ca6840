#!/usr/bin/env bash
# Checks the arrows of ARCHITECTURE.md that the compiler does not: who may use whom.
set -euo pipefail
cd "$(dirname "$0")/../src"

broken=0

# never RULE PATTERN PATH...: no line of the paths that exist may match the pattern.
never() {
    local rule=$1 pattern=$2 paths=() path
    for path in "${@:3}"; do
        [ ! -e "$path" ] || paths+=("$path")
    done
    [ ${#paths[@]} -gt 0 ] || return 0
    if grep -rnE --include='*.rs' "$pattern" "${paths[@]}"; then
        echo "^ $rule" >&2
        broken=1
    fi
}

# everywhere_but PATH...: all of src but these.
everywhere_but() {
    find . -name '*.rs' | grep -vE "^\./($(IFS='|' && echo "$*"))"
}

readonly web='\b(axum|axum_extra|http|http_body_util|hyper|hyper_util|tower|tower_http)::'
mapfile -t outside_store < <(everywhere_but store/)
mapfile -t outside_config < <(everywhere_but 'config\.rs' config/)

never 'the model knows no web framework' "$web" model
never 'the store knows no web framework' "$web" store
never 'drivers stay in the store' '\b(deadpool|deadpool_redis|redb|redis|sqlx)::' "${outside_store[@]}"
never 'only the configuration reads the environment' '\b(std::env|env::vars?|dotenvy::)' "${outside_config[@]}"
never 'the model uses no other module' '\bcrate::(api|app|auth|cli|clock|config|draw|error|extract|online|proxy|server|state|store|telemetry)\b' model
never 'the store uses the model and the clock' '\bcrate::(api|app|auth|cli|config|error|extract|online|proxy|server|state|telemetry)\b' store
never 'no backend uses another' '\bstore::(cache|postgres|redis)\b' store/embedded
never 'no backend uses another' '\bstore::(cache|embedded|postgres)\b' store/redis
never 'no backend uses another' '\bstore::(cache|embedded|redis)\b' store/postgres
never 'auth uses no api' '\bcrate::(api|app|cli|config|online|proxy|server|telemetry)\b' auth
never 'what is served uses no configuration and no starter' '\bcrate::(app|cli|config|server|telemetry)\b' api proxy online
never 'api, proxy and online do not use each other' '\bcrate::(online|proxy)\b' api
never 'api, proxy and online do not use each other' '\bcrate::(api|online)\b' proxy
never 'api, proxy and online do not use each other' '\bcrate::(api|proxy)\b' online

exit "$broken"
