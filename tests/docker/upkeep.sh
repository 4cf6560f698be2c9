# shellcheck shell=bash
# The pages about upkeep, done as they say: the commands are taken from docs/backup.md, docs/secrets.md and docs/upgrade.md.

part "upkeep: backup, secrets, upgrade"

# typed PAGE HEADING N: runs the N-th block of commands below the heading.
typed() {
  python3 - "docs/$1" "$2" "$3" <<'PY' | sed "s/openclaw_state/${PREFIX}_state/g" >"$WORK/typed.sh"
import sys
page, heading, n = open(sys.argv[1]).read(), sys.argv[2], int(sys.argv[3])
print(page.split(f"\n## {heading}\n")[1].split("\n## ")[0].split("```sh\n")[n].split("```")[0])
PY
  # There may be no registry to pull from.
  (cd "$CLONE" && sed '/docker compose pull/d' "$WORK/typed.sh" | bash -e)
}
keys() { cli gateway call sessions.list --json | field sessions.0.key; }

up "a gateway with a conversation" up -d --wait --no-build || return
token="$(cli gateway token)"
chat "$(base_url)" "$token" hello ann >/dev/null
before="$(keys)"

check "the backup of the page is made" typed backup.md "With compose" 1
holds "the archive has the database" "$(tar -tf "$CLONE/openclaw-state.tar" 2>&1)" 'state\.db$'
compose_down >/dev/null 2>&1
up "a new volume" up -d --wait --no-build || return
if [ "$(cli gateway token)" = "$token" ]; then bad "the new volume knows nothing"; else ok "the new volume knows nothing"; fi
check "the archive is restored as the page says" typed backup.md "With compose" 2
same "the token is back" "$token" "$(cli gateway token)"
same "the conversation is back" "$before" "$(keys)"
holds "and goes on" "$(chat "$(base_url)" "$token" again ann | field choices.0.message.content)" demo

# Another image in place of the one that runs, as after `docker compose pull`, while an answer is under way and a message waits.
next="openclaw-gateway:next-$$"
docker build -q -t "$next" - >"$WORK/next.log" 2>&1 <<<"FROM $SLIM
LABEL next=yes"
start_model "${PREFIX}_default"
echo "$MODEL_CONFIG" | replace "$CONFIG/openclaw.json"
slow() { chat "$(base_url)" "$token" hello | grep -q 'first last'; }
until_ok 10 slow && ok "the model answers" || bad "the model answers"
begin_stream "$(base_url)" "$token"
key="$(cli gateway call sessions.list --json | grep -oE '"key": *"[^"]*kim"' | grep -oE '[^"]*kim')"
holds "a second message waits" "$(cli gateway call chat.send --json --params "{\"sessionKey\":\"$key\",\"message\":\"and then\",\"idempotencyKey\":\"q\"}" 2>&1)" '"status"'
export OPENCLAW_IMAGE="$next"
typed upgrade.md "With compose" 2 >"$WORK/upgrade.log" 2>&1 &
upgrade=$!
drains() { grep -q draining <<<"$(cli gateway ready 2>&1)"; }
until_ok 20 drains && ok "the old process drains" || bad "the old process drains"
ask_model release >/dev/null
stream_ended
if wait $upgrade; then ok "the new image is put in place as the page says"; else bad "the new image is put in place as the page says"; tail -5 "$WORK/upgrade.log"; fi
same "it runs" yes "$(docker inspect -f '{{index .Config.Labels "next"}}' "$(compose ps -q gateway)")"
same "the token is still the same" "$token" "$(cli gateway token)"
holds "the conversation is still there" "$(cli gateway call sessions.list --json)" "$before"
texts() {
  cli gateway call chat.history --json --params "{\"sessionKey\":\"$key\"}" |
    python3 -c 'import json,sys; print(" | ".join(m["role"] + ": " + "".join(p.get("text", "") for p in m["content"]) for m in json.load(sys.stdin)["messages"]))'
}
all="user: slowly | assistant: first last | user: and then | assistant: first last"
complete() { [ "$(texts)" = "$all" ]; }
until_ok 20 complete && ok "nothing that was said is lost or doubled" || bad "nothing that was said is lost or doubled: $(texts 2>&1)"
remove model
replace "$CONFIG/openclaw.json" <deploy/compose/gateway/openclaw.json
export OPENCLAW_IMAGE="$SLIM"
compose down -t 40 >/dev/null 2>&1

# A database that a later version wrote.
docker run --rm -i -v "${PREFIX}_state:/state" --entrypoint python3 "$FULL" - <<'PY'
import sqlite3
sqlite3.connect("/state/state.db").execute("PRAGMA user_version = 99")
PY
refused="$(docker run --rm -v "${PREFIX}_state:/state" "$SLIM" 2>&1)" && code=0 || code=$?
same "a newer database stops the start" 1 "$code"
holds "and the log says what to do" "$refused" 'has schema 99, this version knows [0-9]+: start the newer version, or restore a backup'
compose_down >/dev/null 2>&1
docker rmi "$next" >/dev/null

# Tokens and keys as files.
sed -n '/^## With compose/,/^```sh/{/^```yaml/,/^```$/p}' docs/secrets.md | sed '1d;$d' >"$CLONE/compose.override.yaml"
check "secrets are files as the page says" typed secrets.md "With compose" 1
token="$(cat "$CLONE/secrets/gateway_token")"
same "the mounted token is shown" "$token" "$(cli gateway token)"
admits() { [ "$(status "$(base_url)/v1/models" -H "Authorization: Bearer $1")" = 200 ]; }
check "and lets in" admits "$token"
echo rotated-token-0123456789 >"$CLONE/secrets/gateway_token"
until_ok 5 admits rotated-token-0123456789 && ok "what is written into the file is in force" || bad "what is written into the file is in force"
if admits "$token"; then bad "the old token is not"; else ok "the old token is not"; fi
rm "$CLONE/compose.override.yaml"
