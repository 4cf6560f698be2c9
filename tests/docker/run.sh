#!/usr/bin/env bash
# The container images and compose.yaml, against a Docker engine that answers.
#   bash tests/docker/run.sh [PART ...]     parts: images container faults compose upkeep proxy proxies sso
#                                           observability (default: all)
# Needs docker with compose (which brings the client of BuildKit), curl, openssl and python3. OPENCLAW_DOCKER_SETUP may name a command
# that gets image names and makes them available, for machines without a container registry.
set -euo pipefail
cd "$(dirname "$0")/../.."

docker info >/dev/null 2>&1 || { echo "No Docker engine answers: start one, or set DOCKER_HOST." >&2; exit 1; }
docker compose version >/dev/null 2>&1 || { echo "The Docker plugin \`compose\` is missing." >&2; exit 1; }

here=tests/docker
# shellcheck source=tests/docker/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/docker/project.sh
. "$here/project.sh"
trap clean_up EXIT

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(images container faults compose upkeep proxy proxies sso observability)
# From here on a failing command is something to report, not a reason to stop.
set +e
started=$(date +%s)
for name in "${parts[@]}"; do
  part_began=$(date +%s)
  # shellcheck disable=SC1090 # one file per part
  . "$here/$name.sh"
  say "  ($name: $(($(date +%s) - part_began)) s)"
done
printf '\n%s in %s s\n' "$([ "$FAILED" = 0 ] && echo 'all passed' || echo "$FAILED failed")" "$(($(date +%s) - started))"
[ "$FAILED" = 0 ]
