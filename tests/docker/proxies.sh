# shellcheck shell=bash
# nginx and HAProxy in front, mounted as their files under deploy/compose say. Caddy is the `proxy` profile. What passes
# through all three in detail (tokens one by one, large bodies, gRPC, silence) is in tests/clients/proxies.rs.

part "nginx and HAProxy in front"
make_images nginx:1 haproxy:3.0 || { skip "its images are not to be had here"; return; }

export OPENCLAW_CONFIG=trusted-proxy.json
up "the gateway that believes a proxy" up -d --wait --no-build || return
beside="$WORK/beside"
mkdir -p "$beside/nginx" "$beside/haproxy"
openssl_of() { docker run --rm --entrypoint openssl "$FULL" "$@" 2>/dev/null; }
openssl_of req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout /dev/stdout -out /dev/stdout >"$beside/site.pem"
hash="$(openssl_of passwd -5 correct-horse)"

cp "$beside/site.pem" "$beside/nginx/site.crt"; cp "$beside/site.pem" "$beside/nginx/site.key"
echo "ann:$hash" >"$beside/nginx/users"
echo '"Bearer program-key-0123456789" reports;' >"$beside/nginx/keys.map"

cp deploy/compose/haproxy/haproxy.cfg "$beside/site.pem" "$beside/haproxy/"
printf 'userlist people\n    user ann password %s\n' "$hash" >"$beside/haproxy/users.cfg"
echo 'program-key-0123456789 reports' >"$beside/haproxy/keys.map"
chmod -R a+rX "$beside"

# in_front NAME DOCKER_ARGUMENTS...: at the address that the gateway believes.
in_front() {
  local name="$1"; shift
  docker run -d --name "$PREFIX-$name" --label openclaw-test=$$ --network "${PREFIX}_front" --ip "$OPENCLAW_NETWORK.2" \
    -p 127.0.0.1:0:8443 "$@" >/dev/null
  site="$(docker port "$PREFIX-$name" 8443/tcp | head -1)"
  serves() { [ "$(ask /v1/models)" = 401 ]; }
  until_ok 20 serves && ok "$name refuses whom it does not know" ||
    { bad "$name refuses whom it does not know: $(ask /v1/models)"; docker logs "$PREFIX-$name" 2>&1 | tail -3; }
  same "$name: a person with a password gets in" 200 "$(ask /v1/models -u ann:correct-horse)"
  same "$name: a program with its key gets in" 200 "$(ask /v1/models -H 'Authorization: Bearer program-key-0123456789')"
  same "$name: a forged user header does not" 401 "$(ask /v1/models -H 'X-Forwarded-User: ann')"
  same "$name: the same below /openclaw" 200 "$(ask /openclaw/v1/models -u ann:correct-horse)"
  same "$name: a WebSocket opens" 101 "$(ask / -u ann:correct-horse --http1.1 -m 2 -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
    -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')"
  holds "$name: an answer is streamed" "$(curl -skN -m 20 -u ann:correct-horse "https://$site/v1/chat/completions" \
    -H 'Content-Type: application/json' -d '{"model":"openclaw","stream":true,"messages":[{"role":"user","content":"hello"}]}')" 'data: \[DONE\]'
  remove "$name"
}
ask() { local path="$1"; shift; status "https://$site$path" -k "$@"; }

in_front nginx -v "$PWD/deploy/compose/nginx/openclaw.conf:/etc/nginx/conf.d/default.conf:ro" -v "$beside/nginx:/etc/nginx/openclaw:ro" nginx:1
in_front haproxy -v "$beside/haproxy:/usr/local/etc/haproxy:ro" haproxy:3.0 \
  -f /usr/local/etc/haproxy/users.cfg -f /usr/local/etc/haproxy/haproxy.cfg
