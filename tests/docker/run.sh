#!/usr/bin/env bash
# The container images and compose.yaml, against a Docker engine.
#   bash tests/docker/run.sh [PART ...]     parts: images container faults compose upkeep proxy proxies sso
#                                           observability (default: all)
# Needs docker with compose (which brings the client of BuildKit), curl, openssl and python3. With root, and where the tools for
# that are beside this tree, an engine that does not run is started and stopped again. Exit code 3: there is none.
# `.ci/run` runs it with the profile `trial`; the first time on a machine without proxy, sso and observability, whose images
# are minutes of work there. Traefik, Open WebUI and Ollama are never run, Grafana where its image can be had.
#   OPENCLAW_DOCKER_SETUP    a command that gets image names and makes them available, for machines without a container registry
#   OPENCLAW_DOCKER_PROFILE  Cargo's profile of the binary in the images (release)
set -euo pipefail
cd "$(dirname "$0")/../.."

beside="$(cd .. && pwd)/shared/docker"
stop_engine() { :; }
if ! { docker info && docker compose version; } >/dev/null 2>&1; then
  if [ -n "${DOCKER_HOST:-}" ] || [ "$(id -u)" != 0 ] || [ ! -x "$beside/engine.sh" ]; then
    echo "No Docker engine with the plugin \`compose\` answers: start one, or set DOCKER_HOST." >&2
    exit 3
  fi
  docker info >/dev/null 2>&1 || stop_engine() { "$beside/engine.sh" stop; }
  trap stop_engine EXIT
  "$beside/engine.sh" || { echo "No Docker engine can be started here." >&2; exit 3; }
fi
if [ -z "${OPENCLAW_DOCKER_SETUP+set}" ] && [ -x "$beside/base-images.sh" ]; then OPENCLAW_DOCKER_SETUP="$beside/base-images.sh"; fi

here=tests/docker
PROFILE="${OPENCLAW_DOCKER_PROFILE:-release}"
# shellcheck source=tests/docker/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/docker/project.sh
. "$here/project.sh"
trap 'clean_up; stop_engine' EXIT

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(images container faults compose upkeep proxy proxies sso observability)
# From here on a failing command is something to report, not a reason to stop.
set +e
started=$(date +%s)
for name in "${parts[@]}"; do
  part_began=$(date +%s)
  bash -n "$here/$name.sh" || exit 2
  # shellcheck disable=SC1090 # one file per part; what it sets ends with it
  (. "$here/$name.sh"; exit 0) || exit
  tidy
  say "  ($name: $(($(date +%s) - part_began)) s)"
done
took="$(($(date +%s) - started)) s"
if [ -s "$WORK/failed" ]; then
  printf '\nfailed, in %s:\n' "$took"; cat "$WORK/failed"
  exit 1
fi
printf '\nall passed in %s\n' "$took"
