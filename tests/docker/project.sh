# shellcheck shell=bash
# The compose project that the parts about compose.yaml start: own name, own ports, own network, and a copy of the files, as a
# clone has them, with nothing that could be built. Sourced by run.sh.

export COMPOSE_PROJECT_NAME="$PREFIX" OPENCLAW_IMAGE="$SLIM" OPENCLAW_PUBLISH=127.0.0.1:0 OPENCLAW_NETWORK=10.229.118
export COMPOSE_PROGRESS=quiet
CLONE="$WORK/clone"
mkdir -p "$CLONE" && cp compose.yaml "$CLONE/" && cp -r deploy "$CLONE/"
CONFIG="$WORK/config"
mkdir -p "$CONFIG" && chmod 755 "$CONFIG"
cp deploy/compose/gateway/*.json "$CONFIG/"; chmod 644 "$CONFIG"/*.json
export OPENCLAW_CONFIG_DIR="$CONFIG"

compose() { (cd "$CLONE" && docker compose "$@"); }
compose_down() { compose --profile '*' down -v --remove-orphans -t 5; }
cli() { compose exec -T gateway openclaw "$@"; }
base_url() { printf 'http://%s' "$(compose port gateway 18789)"; }
# up DESCRIPTION ARGUMENTS...: without what it brings up, the rest of a part proves nothing.
up() {
  local what="$1" begin; shift; begin=$(now_ms)
  if compose "$@" >"$WORK/up.log" 2>&1; then ok "$what ($(($(now_ms) - begin)) ms)"; else bad "$what"; tail -8 "$WORK/up.log"; return 1; fi
}
# replace FILE <CONTENT: as editors do, by rename.
replace() { cat >"$1.new"; chmod 644 "$1.new"; mv "$1.new" "$1"; }
