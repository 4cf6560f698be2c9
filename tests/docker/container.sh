# shellcheck shell=bash
# One container at a time: credentials, users, read-only root, PID 1.

part "container"

refused="$(docker run --rm "$SLIM" gateway --auth none 2>&1)" && code=0 || code=$?
same "a container that would be open to everybody does not start (78)" 78 "$code"
holds "and says why" "$refused" "Refusing to bind gateway to auto without auth"

start plain "$SLIM"
wait_ready plain
token="$(inside plain gateway token)"
same "a token is generated and shown by one command" 48 "${#token}"
same "nobody gets in without it" 401 "$(status "$(url plain)/v1/models")"
holds "the demo answers with it" "$(chat "$(url plain)" "$token" hello | field choices.0.message.content)" "demo"
if docker logs "$PREFIX-plain" 2>&1 | grep -q "$token"; then bad "the token is not in the log"; else ok "the token is not in the log"; fi
holds "the log is JSON" "$(docker logs "$PREFIX-plain" 2>&1 | head -1)" '^\{.*"message"'
if docker port "$PREFIX-plain" | grep -q 9464; then bad "the management port is not published"; else ok "the management port is not published"; fi
begin=$(now_ms); inside plain gateway ready >/dev/null; took=$(($(now_ms) - begin))
say "  the health check takes $took ms, most of it the engine's"
memory=$(docker stats --no-stream --format '{{.MemUsage}}' "$PREFIX-plain")
say "  memory: $memory"
until_ok 40 sh -c "docker inspect -f '{{.State.Health.Status}}' $PREFIX-plain | grep -qx healthy" &&
  ok "the engine calls it healthy" || bad "the engine calls it healthy: $(docker inspect -f '{{json .State.Health}}' "$PREFIX-plain")"
remove plain

# Any user, with a volume that starts as the folder of the image. Some platforms choose one of group 0.
start other --user 1234:1234 "$SLIM"
wait_ready other && ok "any user can run it"
remove other
start odd --user 1000680000:0 -e TZ=Asia/Kathmandu "$SLIM"
wait_ready odd && ok "and any of group 0"
holds "time zones need no files" "$(docker logs "$PREFIX-odd" 2>&1 | head -1)" '"time":"[^"]*\+05:45'
remove odd

mkdir -p "$WORK/secrets" && chmod 755 "$WORK/secrets"
echo mounted-token-0123456789 >"$WORK/secrets/token"; chmod 644 "$WORK/secrets/token"
start mounted -v "$WORK/secrets:/run/secrets:ro" -e OPENCLAW_GATEWAY_TOKEN_FILE=/run/secrets/token "$SLIM"
wait_ready mounted
same "a mounted token is used" 200 "$(status "$(url mounted)/v1/models" -H 'Authorization: Bearer mounted-token-0123456789')"
echo rotated-token-0123456789 >"$WORK/secrets/token.new"; chmod 644 "$WORK/secrets/token.new"
mv "$WORK/secrets/token.new" "$WORK/secrets/token"
rotated() { [ "$(status "$(url mounted)/v1/models" -H 'Authorization: Bearer rotated-token-0123456789')" = 200 ]; }
until_ok 5 rotated && ok "a rotated token is used without a restart" || bad "a rotated token is used without a restart"
remove mounted

# Orphans: `sleep` outlives its parent and becomes a child of PID 1.
start orphans "$FULL"
wait_ready orphans
docker exec "$PREFIX-orphans" sh -c 'for i in 1 2 3; do sh -c "sleep 0.$i & true"; done'
zombies() { docker exec "$PREFIX-orphans" ps -o stat= --ppid 1 | grep -c Z || true; }
seen=0; end=$(($(date +%s) + 5))
while [ "$seen" = 0 ] && [ "$(date +%s)" -lt $end ]; do seen=$(zombies); done
[ "$seen" -gt 0 ] && ok "orphans become zombies of PID 1 ($seen seen)" || bad "no zombie was ever there: the next check proves nothing"
none() { [ "$(zombies)" = 0 ]; }
until_ok 20 none && ok "and PID 1 buries them" || bad "and PID 1 buries them: $(zombies) left"
remove orphans

# A PDF is read by a second process of the binary: no shell, nothing to write to, little memory.
docker network create "$PREFIX" >/dev/null
start_model "$PREFIX"
mkdir -p "$WORK/drain" && echo "$MODEL_CONFIG" >"$WORK/drain/openclaw.json" && chmod -R a+rX "$WORK/drain"
start drain --network "$PREFIX" -v "$WORK/drain:/config:ro" --memory 512m --pids-limit 512 "$SLIM"
wait_ready drain
token="$(inside drain gateway token)"
base="$(url drain)"
python3 tests/docker/document.py >"$WORK/document.json"
same "a PDF is taken" 200 "$(status "$base/v1/responses" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d "@$WORK/document.json")"
holds "and the model is given its text" "$(ask_model last)" 'Invoice 42'

# SIGTERM: the answer that is being given is finished, nothing new is begun.
begin_stream "$base" "$token"
docker stop -t 40 "$PREFIX-drain" >/dev/null &
stop=$!
until_ok 10 says drain 'not ready (503): draining' && ok "SIGTERM makes it not ready: draining" || bad "SIGTERM makes it not ready: draining"
same "new requests are refused" 503 "$(status "$base/v1/chat/completions" -H "Authorization: Bearer $token" \
  -H 'Content-Type: application/json' -d '{"model":"openclaw","messages":[{"role":"user","content":"x"}]}')"
ask_model release >/dev/null
wait $stop || true
stream_ended
same "and the process ends cleanly" 0 "$(docker inspect -f '{{.State.ExitCode}}' "$PREFIX-drain")"
remove drain
remove model
