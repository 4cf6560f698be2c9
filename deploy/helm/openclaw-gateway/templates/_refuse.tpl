{{/* What a schema cannot say in words: each refusal names the value, the reason and the remedy. */}}
{{- define "openclaw.refuse" -}}
{{- $v := .Values }}
{{- $name := include "openclaw.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "The objects would be called %s, and a Service's name has small letters, digits and dashes only and begins with a letter. Use another release name, or fullnameOverride." $name) }}
{{- end }}
{{- range $where, $labels := dict "commonLabels" $v.commonLabels "podLabels" $v.podLabels }}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{- if hasKey (default dict $labels) $label }}
{{- fail (printf "%s sets %s, by which Services and policies find the pod. Remove it; nameOverride changes the name." $where $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- if gt (int $v.replicaCount) 1 }}
{{- fail (printf "replicaCount is %d: a gateway owns its state directory alone (one SQLite database, one writer), so a second replica would not share its conversations. Install one release per instance instead." (int $v.replicaCount)) }}
{{- end }}

{{- if not $v.existingConfigMap }}
{{- include "openclaw.refuseConfig" . }}
{{- end }}
{{- include "openclaw.refuseClaims" . }}

{{- $own := list "HOME" "OPENCLAW_CONFIG_PATH" "OPENCLAW_STATE_DIR" "OPENCLAW_GATEWAY_PORT" "OPENCLAW_MANAGEMENT_PORT" "OPENCLAW_GATEWAY_TOKEN" "OPENCLAW_GATEWAY_PASSWORD" "OPENCLAW_GATEWAY_TOKEN_FILE" "OPENCLAW_GATEWAY_PASSWORD_FILE" }}
{{- range $v.extraEnv }}
{{- if has .name $own }}
{{- fail (printf "extraEnv sets %s, which the chart sets (a token or password: from the Secret in auth.existingSecret). Remove it." .name) }}
{{- end }}
{{- end }}
{{- if and (eq $v.probeType "grpc") (include "openclaw.hasTls" .) }}
{{- fail "probeType is grpc and config.gateway.tls.enabled is true: the kubelet's gRPC probe speaks no TLS. Use probeType: http." }}
{{- end }}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled }}
{{- fail "serviceMonitor and podMonitor are both enabled: everything would be scraped and counted twice. Remove one of them." }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- fail "ingress.enabled needs ingress.hosts, for example [{host: gateway.example.org}]." }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs, for example [{name: public, namespace: gateways}]." }}
{{- end }}
{{- end }}

{{/* What is in `config` and belongs elsewhere, or would not work. */}}
{{- define "openclaw.refuseConfig" -}}
{{- $v := .Values }}
{{- $gateway := default dict (default dict $v.config).gateway }}
{{- range $key, $instead := dict "port" "service.port" "bind" "service.type" "mode" "nothing, it is always `local`" "management" "nothing, it is always on port 9464" }}
{{- if hasKey $gateway $key }}
{{- fail (printf "config.gateway.%s is set by the chart. Remove it and use: %s." $key $instead) }}
{{- end }}
{{- end }}
{{- if hasKey (default dict $gateway.shutdown) "graceMs" }}
{{- fail "config.gateway.shutdown.graceMs is set by the chart. Remove it and use: shutdown.graceSeconds, which keeps the pod's grace period in step." }}
{{- end }}
{{- range $key := list "token" "password" }}
{{- if hasKey (default dict $gateway.auth) $key }}
{{- fail (printf "config.gateway.auth.%s would put the %s into a ConfigMap. Remove it and name a Secret in auth.existingSecret." $key $key) }}
{{- end }}
{{- end }}
{{- include "openclaw.refuseSecrets" (dict "at" $v.config "path" "config") }}
{{- $mode := include "openclaw.authMode" . }}
{{- if ne $mode (default $mode (include "openclaw.setting" (list . "gateway.auth.mode"))) }}
{{- fail (printf "auth.mode is %s and config.gateway.auth.mode is %s. Remove one of them." $mode $gateway.auth.mode) }}
{{- end }}
{{- if eq $mode "none" }}
{{- fail "config.gateway.auth.mode is none: the gateway refuses to serve a network without authentication. Use token, password or trusted-proxy." }}
{{- end }}
{{- if eq $mode "trusted-proxy" }}
{{- if not $gateway.trustedProxies }}
{{- fail "config.gateway.auth.mode is trusted-proxy: name the addresses of the proxy's pods in config.gateway.trustedProxies, for example [10.244.0.0/16]." }}
{{- end }}
{{- if not (include "openclaw.setting" (list . "gateway.auth.trustedProxy.userHeader")) }}
{{- fail "config.gateway.auth.mode is trusted-proxy: name the header that carries the user in config.gateway.auth.trustedProxy.userHeader, for example x-forwarded-email." }}
{{- end }}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.from) }}
{{- fail "config.gateway.auth.mode is trusted-proxy: whoever reaches the gateway from a trusted address can name any user. Let only the proxy in with networkPolicy.from, or set networkPolicy.enabled to false if something else does." }}
{{- end }}
{{- end }}
{{- end }}

{{/* Texts under names that speak of credentials, unless they are `${NAME}`. A short `apiKey` is no key: some local models
want one and look at none. */}}
{{- define "openclaw.refuseSecrets" -}}
{{- $path := .path }}
{{- if kindIs "slice" .at }}
{{- range $index, $one := .at }}
{{- include "openclaw.refuseSecrets" (dict "at" $one "path" (printf "%s[%d]" $path $index)) }}
{{- end }}
{{- else if kindIs "map" .at }}
{{- range $key, $one := .at }}
{{- $plain := regexReplaceAll "[-_]" (lower $key) "" }}
{{- $named := regexMatch "(token|password|passphrase|secret|encryptkey|encryptionkey|privatekey|^authorization)$" $plain }}
{{- $named = or $named (and (hasSuffix "apikey" $plain) (gt (len (toString $one)) 15)) }}
{{- if and $named (kindIs "string" $one) $one (not (regexMatch "\\$\\{[A-Z][A-Z0-9_]*\\}" $one)) }}
{{- fail (printf "%s.%s would put a secret into a ConfigMap. Keep it in a Secret: pass it with extraEnv and write \"${NAME}\", or mount it with extraSecretMounts and write {source: file, provider: NAME, id: value}." $path $key) }}
{{- end }}
{{- include "openclaw.refuseSecrets" (dict "at" $one "path" (printf "%s.%s" $path $key)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Changes of the claim that Kubernetes would refuse for a StatefulSet, with the way that works. Needs a cluster. */}}
{{- define "openclaw.refuseClaims" -}}
{{- $name := include "openclaw.fullname" . }}
{{- $ns := include "openclaw.namespace" . }}
{{- $set := lookup "apps/v1" "StatefulSet" $ns $name }}
{{- if $set }}
{{- $p := .Values.persistence }}
{{- $wanted := and $p.enabled (not $p.existingClaim) }}
{{- $present := dig "spec" "volumeClaimTemplates" list $set }}
{{- $change := "" }}
{{- if ne (empty $present) (not $wanted) }}
{{- $change = printf "persistence.%s: the installed StatefulSet %s a claim of its own" (ternary "enabled or persistence.existingClaim" "existingClaim or persistence.enabled" $p.enabled) (ternary "has not" "has" (empty $present)) }}
{{- else if $wanted }}
{{- $claim := (first $present).spec }}
{{- $size := $claim.resources.requests.storage }}
{{- $class := default "" $p.storageClass }}
{{- if ne (include "openclaw.bytes" $p.size) (include "openclaw.bytes" $size) }}
{{- $change = printf "persistence.size is %s and the installed StatefulSet claims %s" $p.size $size }}
{{- else if ne $class (ternary (default "-" $claim.storageClassName) "" (hasKey $claim "storageClassName")) }}
{{- $change = printf "persistence.storageClass is %q and the installed StatefulSet has another one" $class }}
{{- else if ne (toJson $p.accessModes) (toJson $claim.accessModes) }}
{{- $change = printf "persistence.accessModes is %s and the installed StatefulSet has %s" (toJson $p.accessModes) (toJson $claim.accessModes) }}
{{- else if ne (toJson (default dict $p.annotations)) (toJson (dig "metadata" "annotations" dict (first $present))) }}
{{- $change = "persistence.annotations are not those of the installed StatefulSet" }}
{{- end }}
{{- end }}
{{- if $change }}
{{- fail (printf "%s. Kubernetes does not change that in place. Remove the set, which leaves its pod and its volume alone, and repeat this command: kubectl -n %s delete statefulset %s --cascade=orphan. A volume that exists keeps its size until its claim is changed, see docs/upgrade.md." $change $ns $name) }}
{{- end }}
{{- end }}
{{- end }}
