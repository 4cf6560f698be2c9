# shellcheck shell=bash
# The `observability` profile. Grafana only where its image can be had; its dashboards are checked against Prometheus.

part "profile observability"
make_images prom/prometheus:v3.5.0 otel/opentelemetry-collector-contrib:0.155.0 || { skip "its images are not to be had here"; return; }

check "alerts fire on what they are for" docker run --rm --entrypoint promtool -v "$PWD/deploy/prometheus:/etc/prometheus:ro" \
  -v "$PWD/tests/docker/alerts.yml:/alerts.yml:ro" prom/prometheus:v3.5.0 test rules /alerts.yml

# As docs/observability.md says for traces; shorter, so that nobody waits.
export OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-collector:4318
export COMPOSE_PROFILES=observability PROMETHEUS_PUBLISH=127.0.0.1:0 OTLP_PUBLISH=127.0.0.1:0 GRAFANA_PUBLISH=127.0.0.1:0
services=(gateway prometheus otel-collector)
grafana_image="$(compose config --format json | field services.grafana.image)"
if docker image inspect "$grafana_image" >/dev/null 2>&1 || docker pull -q "$grafana_image" >/dev/null 2>&1; then services+=(grafana); fi
up "docker compose --profile observability up --wait (${services[*]})" up -d --wait --no-build "${services[@]}" || return
prometheus="http://$(compose port prometheus 9090)"
token="$(cli gateway token)"; base="$(base_url)"
chat "$base" "$token" hello >/dev/null

query() { curl -sG -m 10 "$prometheus/api/v1/query" --data-urlencode "query=$1"; }
is_one() { [ "$(query "$1" | field data.result.0.value.1)" = "1" ]; }
until_ok 40 is_one 'up{job="openclaw-gateway"}' && ok "Prometheus scrapes the gateway" || bad "Prometheus scrapes the gateway"
until_ok 40 is_one 'openclaw_ready' && ok "and sees it ready" || bad "and sees it ready: $(query openclaw_ready)"
same "all alert rules are loaded" "$(grep -c 'alert:' deploy/prometheus/rules.yml)" \
  "$(curl -s "$prometheus/api/v1/rules" | python3 -c 'import json,sys; print(sum(len(g["rules"]) for g in json.load(sys.stdin)["data"]["groups"]))')"
quiet() { [ "$(query 'count(ALERTS{alertstate="firing"}) or vector(0)' | field data.result.0.value.1)" = 0 ]; }
check "no alert fires on a healthy gateway" quiet

# Every query of every panel is understood; those about a plain chat have data.
cat >"$WORK/panels.py" <<'PY'
import json, sys, urllib.parse, urllib.request
prometheus, path = sys.argv[1:]
values = {"$job": ".+", "$instance": ".+", "$__rate_interval": "1m"}
wrong, empty, total = [], [], 0
for panel in json.load(open(path))["panels"]:
    for target in panel.get("targets", []):
        text = target["expr"]
        for name, value in values.items():
            text = text.replace(name, value)
        total += 1
        url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            found = json.load(urllib.request.urlopen(url, timeout=10))["data"]["result"]
        except urllib.error.HTTPError as error:
            wrong.append((panel["title"], error.read().decode()[:200]))
            continue
        if not found:
            empty.append(panel["title"])
print(f"{total} queries, without data yet: {', '.join(sorted(set(empty))) or 'none'}")
must = {"Ready", "Version", "Up for", "Clients", "Memory", "State database", "Runs"} & set(empty)
sys.exit(f"{wrong} {must}" if wrong or must else 0)
PY
panels() { python3 "$WORK/panels.py" "$prometheus" deploy/grafana/dashboards/openclaw-gateway.json >"$WORK/panels.log" 2>&1; }
# Rates need a second scrape.
until_ok 60 panels && ok "dashboard: $(cat "$WORK/panels.log")" || bad "dashboard: $(cat "$WORK/panels.log")"

traced() { grep -qE 'Traces.*"spans": *[0-9]' <<<"$(compose logs otel-collector 2>&1)"; }
until_ok 20 traced && ok "the collector gets the gateway's traces" || bad "the collector gets the gateway's traces: $(compose logs otel-collector 2>&1 | tail -3)"
otlp="http://$(compose port otel-collector 4318)"
stamp="$(date +%s)000000000"
same "the collector takes OTLP" 200 "$(status "$otlp/v1/metrics" -H 'Content-Type: application/json' -d '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"beside_the_gateway","gauge":{"dataPoints":[{"asDouble":1,"timeUnixNano":"'"$stamp"'"}]}}]}]}]}')"
until_ok 60 is_one 'beside_the_gateway' && ok "and Prometheus gets what it took" || bad "and Prometheus gets what it took"

if [[ " ${services[*]} " == *" grafana "* ]]; then
  grafana="http://$(compose port grafana 3000)"
  found() { curl -sf -u admin:admin "$grafana/api/dashboards/uid/openclaw-gateway" | grep -q '"title":"OpenClaw Gateway"'; }
  until_ok 60 found && ok "Grafana has the dashboard" || bad "Grafana has the dashboard"
else
  skip "Grafana: its image is not to be had here"
fi
