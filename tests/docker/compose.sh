# shellcheck shell=bash
# compose.yaml as people use it.

part "compose"

for profile in "" proxy sso observability webui ollama proxy,sso,observability,webui,ollama; do
  COMPOSE_PROFILES="$profile" check "profile ${profile:-none} is well-formed" compose config -q
done

up "docker compose up --wait" up -d --wait --no-build || return
token="$(cli gateway token)"; base="$(base_url)"
same "docker compose exec gateway openclaw gateway token prints one" 48 "${#token}"
holds "the command line works inside" "$(cli gateway status 2>&1)" "Connectivity probe: ok"
holds "a kept conversation is answered" "$(chat "$base" "$token" hello ann | field choices.0.message.content)" demo

models() { curl -s -m 5 "$base/v1/models" -H "Authorization: Bearer $token"; }
served() { grep -q "openclaw/$1" <<<"$(models)"; }
begin=$(now_ms)
sed 's/list: \[{ id: "main", default: true }\]/list: [{ id: "main", default: true }, { id: "added" }]/' deploy/compose/gateway/openclaw.json | replace "$CONFIG/openclaw.json"
until_ok 5 served added && ok "an edited file is applied without a restart ($(($(now_ms) - begin)) ms, polls included)" || bad "an edited file is applied without a restart"
echo '{ gateway: { mode: "local", prot: 1 } }' | replace "$CONFIG/openclaw.json"
logged() { grep -q 'config reload skipped' <<<"$(compose logs gateway 2>&1)"; }
until_ok 5 logged && ok "a broken file is named in the log" || bad "a broken file is named in the log"
check "and changes nothing" served added
check "it stays ready" cli gateway ready
replace "$CONFIG/openclaw.json" <deploy/compose/gateway/openclaw.json

up "docker compose down" down -t 40 || return
up "docker compose up again" up -d --wait --no-build || return
base="$(base_url)"
same "the token is still the same" "$token" "$(cli gateway token)"
holds "the conversation is still there" "$(cli gateway call sessions.list --json | field sessions.0.key)" ann

# The kernel's kill -9, as the OOM killer does it: the restart policy brings it back.
pid="$(docker inspect -f '{{.State.Pid}}' "$(compose ps -q gateway)")"
if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = openclaw ] && kill -9 "$pid" 2>/dev/null; then
  restarted() { [ "$(docker inspect -f '{{.RestartCount}}' "$(compose ps -q gateway)")" -ge 1 ] && cli gateway ready; }
  until_ok 30 restarted && ok "a killed process is started again" || bad "a killed process is started again"
  base="$(base_url)"
  holds "with the conversation" "$(cli gateway call sessions.list --json | field sessions.0.key)" ann
else
  skip "a killed process is started again: the engine runs on another machine"
fi
