# shellcheck shell=bash
# Both images are built; size, start time, what is in them and what is not.

part "images (profile $PROFILE)"
make_images debian:bookworm-slim rust:1.95-slim-bookworm || { echo "the images that the Dockerfile begins with cannot be made here" >&2; exit 3; }
docker run --rm debian:bookworm-slim true || { echo "this engine runs no containers" >&2; exit 3; }

# Both at once: they have one binary.
cat >"$WORK/full.yaml" <<YAML
services: { full: { image: "$FULL", build: { context: "$PWD", target: full } } }
YAML
begin=$(date +%s)
if OPENCLAW_TARGET=slim docker compose --progress plain -f compose.yaml -f "$WORK/full.yaml" build \
  --build-arg "REVISION=${REVISION:-test}" --build-arg "PROFILE=$PROFILE" gateway full >"$WORK/build.log" 2>&1; then
  ok "slim and full are built ($(($(date +%s) - begin)) s)"
else
  bad "slim and full are built"; tail -20 "$WORK/build.log"; exit 1
fi

packed_mb() { docker save "$1" | gzip | wc -c | awk '{printf "%.1f", $1 / 1e6}'; }
slim_mb=$(packed_mb "$SLIM")
say "  slim: $slim_mb MB compressed, $(docker image inspect -f '{{.Size}}' "$SLIM" | awk '{printf "%.1f", $1 / 1e6}') MB unpacked"
say "  full: $(packed_mb "$FULL") MB compressed"
check "slim is at most 25 MB compressed" awk "BEGIN { exit !($slim_mb <= 25) }"

same "slim runs as a user without rights" 65532:0 "$(docker image inspect -f '{{.Config.User}}' "$SLIM")"
same "full has the same user" 65532:0 "$(docker image inspect -f '{{.Config.User}}' "$FULL")"
same "labels are set" "${REVISION:-test}" "$(docker image inspect -f '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$SLIM")"
if docker run --rm --entrypoint /bin/sh "$SLIM" -c true >/dev/null 2>&1; then bad "slim has no shell"; else ok "slim has no shell"; fi
check "full has shell, git, curl, ripgrep and Python" \
  docker run --rm --entrypoint bash "$FULL" -c 'git --version && curl --version && rg --version && python3 --version'

docker create --name "$PREFIX-files" --label openclaw-test=$$ "$SLIM" >/dev/null
docker cp "$PREFIX-files:/usr/share/doc/openclaw/sbom.cdx.json" "$WORK/sbom.json" >/dev/null
docker cp "$PREFIX-files:/usr/local/bin/openclaw" "$WORK/openclaw" >/dev/null
docker export "$PREFIX-files" | tar -tf - | grep -v '/$' | sort >"$WORK/files"
remove files
say "  files in slim: $(grep -vE '^(dev|proc|sys|etc/(hosts|hostname|mtab|resolv.conf)|\.dockerenv)' "$WORK/files" | paste -sd ' ')"
# shellcheck disable=SC2016 # Python
check "the bill of materials names every crate as Cargo.lock has it" python3 -c '
import json, re, sys
listed = {(c["name"], c["version"]) for c in json.load(open(sys.argv[1]))["components"]}
locked = set(re.findall(r"name = \"([^\"]+)\"\nversion = \"([^\"]+)\"", open("Cargo.lock").read()))
missing = [name for name in ("tokio", "rustls", "libsqlite3-sys", "axum") if name not in {n for n, _ in listed}]
assert len(listed) > 100 and listed <= locked and not missing, (len(listed), listed - locked, missing)' "$WORK/sbom.json"

check "the binary itself carries the same list, where scanners look for it" python3 tests/docker/embedded.py "$WORK/openclaw" "$WORK/sbom.json"
same "the label says the version of the binary" "OpenClaw $(docker image inspect -f '{{index .Config.Labels "org.opencontainers.image.version"}}' "$SLIM")" \
  "$(docker run --rm "$SLIM" --version)"

start_ms() { # start_ms IMAGE: from the start of the process to the log line `ready`
  local name="$PREFIX-timed"
  docker run -d --name "$name" --label openclaw-test=$$ "$1" >/dev/null
  until_ok 30 docker exec "$name" openclaw gateway ready
  docker logs "$name" >"$WORK/timed.log" 2>&1
  docker inspect -f '{{.State.StartedAt}}' "$name" >"$WORK/timed.start"
  docker rm -f -v "$name" >/dev/null
  python3 - "$WORK/timed.start" "$WORK/timed.log" <<'PY'
import datetime, json, re, sys
def ms(text):
    text = re.sub(r"(\.\d{6})\d*", r"\1", text.strip()).replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(text).timestamp() * 1000
began = ms(open(sys.argv[1]).read())
for line in open(sys.argv[2]):
    try:
        entry = json.loads(line)
    except ValueError:
        continue
    if "ready" == (entry.get("message") or entry.get("fields", {}).get("message")):
        print(round(ms(entry.get("time") or entry["timestamp"]) - began))
        break
else:
    print("no log line `ready`")
PY
}
say "  start to ready, from nothing: slim $(start_ms "$SLIM") ms, full $(start_ms "$FULL") ms"
