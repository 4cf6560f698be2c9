# shellcheck shell=bash
# The `proxy` profile: Caddy logs people in, the gateway believes Caddy and nobody else.

part "profile proxy"
make_images caddy:2 || { skip "its images are not to be had here"; return; }

# The hash of `correct-horse`; one per line, as `caddy hash-password` prints it.
echo "ann $(docker run --rm caddy:2 caddy hash-password --plaintext correct-horse)" >"$CLONE/deploy/compose/caddy/users.caddy"
echo '"Bearer program-key-0123456789" reports' >"$CLONE/deploy/compose/caddy/keys.caddy"
export COMPOSE_PROFILES=proxy OPENCLAW_CONFIG=trusted-proxy.json OPENCLAW_SITE=https://localhost
export OPENCLAW_HTTP_PUBLISH=127.0.0.1:0 OPENCLAW_HTTPS_PUBLISH=127.0.0.1:0

up "docker compose --profile proxy up --wait" up -d --wait --no-build || return
site="$(compose port caddy 443)"
# A password check is seconds of work for a slow machine.
ask() { local path="$1"; shift; status "https://localhost:${site##*:}$path" -k -m 60 --resolve "localhost:${site##*:}:${site%:*}" "$@"; }
answers() { [ "$(ask /v1/models)" = 401 ]; }
until_ok 20 answers && ok "without a login Caddy refuses" || bad "without a login Caddy refuses: $(ask /v1/models)"
same "a person with a password gets in" 200 "$(ask /v1/models -u ann:correct-horse)"
same "a program with its key gets in" 200 "$(ask /v1/models -H 'Authorization: Bearer program-key-0123456789')"
same "the same below /openclaw" 200 "$(ask /openclaw/v1/models -u ann:correct-horse)"
same "a wrong password does not" 401 "$(ask /v1/models -u ann:wrong)"
same "nor does a forged user header" 401 "$(ask /v1/models -H 'X-Forwarded-User: ann')"
direct="$(base_url)"
same "nor a forged header on the gateway's own port" 401 "$(status "$direct/v1/models" -H 'X-Forwarded-User: ann' -H 'X-Forwarded-For: 10.229.118.2')"
check "the health check needs no login" cli gateway ready
