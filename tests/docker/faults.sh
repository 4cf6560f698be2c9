# shellcheck shell=bash
# What happens to a gateway on a bad day: the disk is full, the process is killed.

part "faults"

# A disk of 8 MB that something else fills. The full image, because filling takes a shell.
start full-disk --tmpfs /state:uid=65532,gid=0,mode=0770,size=8m "$FULL"
wait_ready full-disk
base="$(url full-disk)"; token="$(inside full-disk gateway token)"
holds "a conversation is kept" "$(chat "$base" "$token" one fay | field choices.0.message.content)" demo
# More than once: what the gateway's own write test had on the disk is free again a moment later.
docker exec "$PREFIX-full-disk" sh -c 'for n in 1 2 3 4 5; do cat /dev/zero > /state/filler$n 2>/dev/null; sleep 0.3; done'
full_says() { chat "$base" "$token" two fay | field error.message; }
# What is already allocated may take a message or two more.
refused=""
for _ in $(seq 1 200); do refused="$(full_says)"; [ -z "$refused" ] || break; done
[ -n "$refused" ] && ok "a message that cannot be kept is refused: $refused" || bad "a message that cannot be kept is refused"
until_ok 30 says full-disk storage && ok "readiness names storage" || bad "readiness names storage: $(inside full-disk gateway ready 2>&1 | head -1)"
same "the process lives on" running "$(docker inspect -f '{{.State.Status}}' "$PREFIX-full-disk")"
docker exec "$PREFIX-full-disk" sh -c 'rm /state/filler*'
until_ok 30 ready full-disk && ok "it is ready again when there is space" || bad "it is ready again when there is space"
holds "and keeps messages again" "$(chat "$base" "$token" three fay | field choices.0.message.content)" demo
remove full-disk

# SIGKILL: the next start has everything that was acknowledged.
docker volume create --label openclaw-test=$$ "$PREFIX-kept" >/dev/null
start killed -v "$PREFIX-kept:/state" "$SLIM"
wait_ready killed
base="$(url killed)"; token="$(inside killed gateway token)"
for n in 1 2 3 4 5; do chat "$base" "$token" "message $n" kim >/dev/null; done
count() { docker exec "$PREFIX-killed" openclaw gateway call sessions.list --json | field sessions.0.key; }
before="$(count)"
docker kill -s KILL "$PREFIX-killed" >/dev/null
docker start "$PREFIX-killed" >/dev/null
begin=$(now_ms)
until_ok 30 curl -sf "$(url killed)/readyz"; took=$(($(now_ms) - begin))
wait_ready killed
same "after kill -9 the conversation is there" "$before" "$(count)"
key="$(count)"
history="$(docker exec "$PREFIX-killed" openclaw gateway call chat.history --json --params "{\"sessionKey\":\"$key\"}")"
same "with every acknowledged message and answer" 10 "$(python3 -c 'import json,sys; print(len(json.load(sys.stdin)["messages"]))' <<<"$history" 2>&1 | tail -1)"
say "  ready again $took ms after docker start returned"
remove killed
docker volume rm "$PREFIX-kept" >/dev/null
