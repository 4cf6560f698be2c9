# shellcheck shell=bash
# What every part of the container suite uses: reporting, waiting, asking the gateway. Sourced by run.sh.

SLIM=openclaw-gateway:local
FULL=openclaw-gateway:full
WORK="$(mktemp -d)"
chmod 755 "$WORK" # containers with other users read from it
PREFIX="openclaw-test-$$"

say() { printf '%s\n' "$*"; }
part() { printf '\n== %s\n' "$*"; }
ok() { printf '  ok    %s\n' "$*"; }
bad() { printf '  FAIL  %s\n' "$*"; echo "$*" >>"$WORK/failed"; }
skip() { printf '  skip  %s\n' "$*"; }
now_ms() { date +%s%3N; }

# check DESCRIPTION COMMAND...: the command succeeds.
check() {
  local what="$1"; shift
  if "$@" >"$WORK/check.log" 2>&1; then ok "$what"; else bad "$what"; sed 's/^/        /' "$WORK/check.log" | tail -5; fi
}

# same DESCRIPTION EXPECTED FOUND
same() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: expected '$2', found '$3'"; fi; }

# holds DESCRIPTION TEXT PATTERN: the text matches the extended regular expression.
holds() { if grep -qE -- "$3" <<<"$2"; then ok "$1"; else bad "$1: no '$3' in: $(head -c 400 <<<"$2")"; fi; }

# until_ok SECONDS COMMAND...: tries until the command succeeds.
until_ok() {
  local end=$(($(date +%s) + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# make_images NAME...: has them at hand where no registry can be reached.
make_images() {
  [ -n "${OPENCLAW_DOCKER_SETUP:-}" ] || return 0
  $OPENCLAW_DOCKER_SETUP "$@" >"$WORK/setup.log" 2>&1 || { cat "$WORK/setup.log"; return 1; }
}

# start NAME DOCKER_ARGUMENTS...: a gateway container, hardened, with a port on this machine. Waits for nothing.
start() {
  local name="$PREFIX-$1"; shift
  docker run -d --name "$name" --label openclaw-test=$$ -p 127.0.0.1:0:18789 \
    --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges "$@" >/dev/null
}
url() { printf 'http://%s' "$(docker port "$PREFIX-$1" 18789/tcp | head -1)"; }
inside() { local name="$1"; shift; docker exec "$PREFIX-$name" openclaw "$@"; }
ready() { inside "$1" gateway ready; }
# says NAME TEXT: the probe answers with that text.
says() { grep -q "$2" <<<"$(ready "$1" 2>&1)"; }
wait_ready() {
  until_ok 30 ready "$1" && return 0
  bad "$1 becomes ready"; docker logs "$PREFIX-$1" 2>&1 | tail -5; return 1
}
remove() { docker rm -f -v "$PREFIX-$1" >/dev/null 2>&1 || true; }

# status URL CURL_ARGUMENTS...: the HTTP status.
status() { local url="$1"; shift; curl -s -o /dev/null -m 20 -w '%{http_code}' "$@" "$url" || true; }

# chat BASE TOKEN TEXT [USER]: body of a chat completion.
chat() {
  local user=""; [ -z "${4:-}" ] || user="\"user\":\"$4\","
  curl -s -m 30 "$1/v1/chat/completions" -H "Authorization: Bearer $2" -H 'Content-Type: application/json' \
    -d "{\"model\":\"openclaw\",$user\"messages\":[{\"role\":\"user\",\"content\":\"$3\"}]}"
}

# begin_stream BASE TOKEN: a streamed answer of the model below, into $WORK/stream, in the background as $STREAM.
begin_stream() {
  curl -sN -m 90 "$1/v1/chat/completions" -H "Authorization: Bearer $2" -H 'Content-Type: application/json' \
    -d '{"model":"openclaw","user":"kim","stream":true,"messages":[{"role":"user","content":"slowly"}]}' >"$WORK/stream" &
  STREAM=$!
  until_ok 10 grep -q first "$WORK/stream" && ok "an answer is under way" || bad "an answer is under way: $(tail -c 300 "$WORK/stream")"
}
# The answer that was begun is there to its end.
stream_ended() {
  wait "$STREAM" || true
  holds "the answer under way is finished" "$(tail -c 300 "$WORK/stream")" 'DONE'
  holds "with its last word" "$(cat "$WORK/stream")" 'last'
}
# start_model NETWORK: model.py, as `model` for who is on that network. The configuration that uses it is $MODEL_CONFIG.
start_model() {
  docker run -d --name "$PREFIX-model" --label openclaw-test=$$ --network "$1" --network-alias model \
    -v "$PWD/tests/docker/model.py:/model.py:ro" --entrypoint python3 "$FULL" /model.py >/dev/null
  until_ok 20 ask_model last || bad "the model answers"
}
ask_model() { docker exec "$PREFIX-model" curl -sf "http://127.0.0.1:8000/$1"; }
MODEL_CONFIG='{ gateway: { mode: "local", http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } } },
  models: { providers: { slow: { baseUrl: "http://model:8000/v1", api: "openai-completions", apiKey: "none",
    models: [{ id: "slow", name: "slow" }] } } },
  agents: { defaults: { model: { primary: "slow/slow" } }, list: [{ id: "main", default: true }] } }'

# field PATH: a value of the JSON document on stdin, such as choices.0.message.content; empty if it is not there.
field() {
  python3 -c '
import json, sys
try:
    value = json.load(sys.stdin)
    for key in sys.argv[1].split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
except (ValueError, KeyError, IndexError, TypeError):
    sys.exit()
print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

# What a part may have left.
tidy() {
  docker ps -aq --filter "label=openclaw-test=$$" | xargs -r docker rm -f -v >/dev/null 2>&1 || true
  docker network rm "$PREFIX" >/dev/null 2>&1 || true
  compose_down >/dev/null 2>&1 || true
}
clean_up() { tidy; rm -rf "$WORK"; }
