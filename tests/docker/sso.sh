# shellcheck shell=bash
# The `sso` profile: oauth2-proxy sends people to an identity provider; the one here is tests/docker/issuer.py.

part "profile sso"
make_images quay.io/oauth2-proxy/oauth2-proxy:v7.15.6 || { skip "its images are not to be had here"; return; }

export COMPOSE_PROFILES=sso OPENCLAW_CONFIG=sso.json OPENCLAW_SSO_PUBLISH=127.0.0.1:0
export OAUTH2_PROXY_CLIENT_ID=gateway OAUTH2_PROXY_CLIENT_SECRET=issuer-secret OAUTH2_PROXY_COOKIE_SECURE=false
export OAUTH2_PROXY_COOKIE_SECRET=0123456789abcdef0123456789abcdef OAUTH2_PROXY_OIDC_ISSUER_URL=http://issuer:9000
up "the gateway of the profile" up -d --wait --no-build gateway || return
docker run -d --name "$PREFIX-issuer" --label openclaw-test=$$ --network "${PREFIX}_front" --network-alias issuer -p 127.0.0.1:0:9000 \
  -v "$PWD/tests/docker/issuer.py:/issuer.py:ro" --tmpfs /keys:mode=1777 --entrypoint python3 "$FULL" /issuer.py >/dev/null
issuer="$(docker port "$PREFIX-issuer" 9000/tcp | head -1)"
until_ok 20 curl -sf "http://$issuer/.well-known/openid-configuration" || bad "the identity provider answers"
up "docker compose --profile sso up --wait" up -d --wait --no-build || return
proxy="$(compose port oauth2-proxy 4180)"
sso() { local path="$1"; shift; status "http://$proxy$path" "$@"; }
answers() { [ "$(sso /ping)" = 200 ]; }
until_ok 20 answers || bad "oauth2-proxy answers: $(compose logs oauth2-proxy 2>&1 | tail -3)"
holds "without a login people are sent to the identity provider" \
  "$(curl -s -o /dev/null -w '%{http_code} %{redirect_url}' "http://$proxy/")" '^302 http://issuer:9000/authorize'
case "$(sso /v1/models -H 'X-Forwarded-Email: ann@example.org' -H 'Accept: application/json')" in
  401 | 403 | 302) ok "a forged header does not get in" ;;
  *) bad "a forged header does not get in" ;;
esac
# The browser's way: proxy, issuer, callback, page. `issuer` is a name inside the network, so curl is told where it is.
login() {
  curl -s -m 30 -L -c "$WORK/jar" -b "$WORK/jar" --connect-to "issuer:9000:$issuer" --connect-to "localhost:4180:$proxy" \
    "http://localhost:4180$1"
}
same "after a login the gateway answers" openclaw "$(login /v1/models | field data.0.id)"
direct="$(base_url)"
same "a forged header on the gateway's own port does not get in" 401 \
  "$(status "$direct/v1/models" -H 'X-Forwarded-Email: ann@example.org' -H 'X-Forwarded-For: 10.229.118.3')"
remove issuer
