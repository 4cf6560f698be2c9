#!/usr/bin/env bash
# Tests of the Helm chart and the kustomize folders.
#   run.sh chart [--update] [ONLY]   lint, golden files, refusals, kustomize = chart; with KUBEBUILDER_ASSETS (a folder with
#                                    etcd and kube-apiserver) also a dry run against a real API server
#   run.sh cluster [ONLY]            the chart in a real cluster that may be disturbed: see cluster.py for what it needs.
#                                    Without OPENCLAW_TEST_KUBECONFIG, and with root, one is made where the tools for it are
#                                    beside this tree; exit code 3 if it cannot be
# Tools are taken from PATH and from the `bin` of CLUSTER_CACHE (default ~/.cache/cluster-tools).
set -euo pipefail
cd "$(dirname "$0")"

cache="${OPENCLAW_K8S_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/openclaw-k8s}"
export PYTHONDONTWRITEBYTECODE=1
export PATH="$cache/bin:${CLUSTER_CACHE:-$HOME/.cache/cluster-tools}/bin:$PATH"
command -v go >/dev/null || PATH="$PATH:/usr/local/go/bin"
export KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-${CLUSTER_CACHE:-$HOME/.cache/cluster-tools}/bin}"
mkdir -p "$cache/bin"

die() { printf '%s\n' "$*" >&2; exit 1; }

if ! command -v helm >/dev/null; then
  command -v go >/dev/null || die "please install helm 3.17 or newer (or Go, with which it is built here)"
  echo "building helm, once" >&2
  GOBIN="$cache/bin" CGO_ENABLED=0 go install helm.sh/helm/v3/cmd/helm@v3.20.2
fi
command -v kubectl >/dev/null || die "please install kubectl"

python=python3
if ! python3 -c 'import yaml' 2>/dev/null; then
  [ -x "$cache/python/bin/python" ] || python3 -m venv "$cache/python"
  python="$cache/python/bin/python"
  "$python" -c 'import yaml' 2>/dev/null || "$python" -m pip install -q --disable-pip-version-check pyyaml==6.0.3
fi

# Custom resources that the chart can make and others define, from the modules that publish them.
custom_resources() {
  command -v go >/dev/null || return 0
  local module folder
  while read -r module folder; do
    (cd "$cache" && GOFLAGS= go mod download -json "$module" 2>/dev/null) | sed -n "s#^\t\"Dir\": \"\(.*\)\",\$#\1/$folder#p"
  done <<'MODULES'
sigs.k8s.io/gateway-api@v1.4.0 config/crd/standard/gateway.networking.k8s.io_httproutes.yaml
github.com/prometheus-operator/prometheus-operator@v0.92.1 example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
github.com/prometheus-operator/prometheus-operator@v0.92.1 example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml
github.com/prometheus-operator/prometheus-operator@v0.92.1 example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml
MODULES
}

command="${1:-}"
[ $# -eq 0 ] || shift
case "$command" in
  chart)
    [ -n "${OPENCLAW_CRDS+set}" ] || OPENCLAW_CRDS="$(custom_resources | tr '\n' ' ')"
    export OPENCLAW_CRDS
    exec "$python" chart.py "$@"
    ;;
  cluster)
    beside="$(cd ../../.. && pwd)/shared/cluster"
    if [ -z "${OPENCLAW_TEST_KUBECONFIG:-}" ] && [ -x "$beside/up.sh" ] && [ "$(id -u)" = 0 ]; then
      trap '"$beside/down.sh" >/dev/null' EXIT
      lines="$("$beside/up.sh")" || { echo "no cluster can be made here" >&2; exit 3; }
      eval "$lines"
      export OPENCLAW_TEST_KUBECONFIG="$KUBECONFIG"
      export OPENCLAW_TEST_IMPORT="ctr -a ${CLUSTER_DIR:-/var/tmp/cluster}/run/containerd.sock -n k8s.io images import -"
    fi
    "$python" cluster.py "$@"
    ;;
  *) sed -n '2,8p' run.sh | sed 's/^# \{0,1\}//' >&2; exit 2 ;;
esac
