{{/* What a schema cannot say in words: each refusal names the value, the reason and the remedy. */}}
{{- define "openclaw.refuse" -}}
{{- $v := .Values }}
{{- if gt (int $v.replicaCount) 1 }}
{{- fail (printf "replicaCount is %d: a gateway owns its state directory alone (one SQLite database, one writer), so a second replica would not share its conversations. Install one release per instance instead." (int $v.replicaCount)) }}
{{- end }}

{{- if $v.existingConfigMap }}
{{- else }}
{{- $gateway := default dict $v.config.gateway }}
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
{{- $mode := include "openclaw.authMode" . }}
{{- if ne $mode (dig "auth" "mode" $mode $gateway) }}
{{- fail (printf "auth.mode is %s and config.gateway.auth.mode is %s. Remove one of them." $mode $gateway.auth.mode) }}
{{- end }}
{{- if eq $mode "none" }}
{{- fail "config.gateway.auth.mode is none: the gateway refuses to serve a network without authentication. Use token, password or trusted-proxy." }}
{{- end }}
{{- if eq $mode "trusted-proxy" }}
{{- if not $gateway.trustedProxies }}
{{- fail "config.gateway.auth.mode is trusted-proxy: name the addresses of the proxy's pods in config.gateway.trustedProxies, for example [10.244.0.0/16]." }}
{{- end }}
{{- if not (dig "auth" "trustedProxy" "userHeader" "" $gateway) }}
{{- fail "config.gateway.auth.mode is trusted-proxy: name the header that carries the user in config.gateway.auth.trustedProxy.userHeader, for example x-forwarded-email." }}
{{- end }}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.from) }}
{{- fail "config.gateway.auth.mode is trusted-proxy: whoever reaches the gateway from a trusted address can name any user. Let only the proxy in with networkPolicy.from, or set networkPolicy.enabled to false if something else does." }}
{{- end }}
{{- end }}
{{- range $id, $provider := dig "models" "providers" dict $v.config }}
{{- $key := "" }}
{{- if kindIs "map" $provider }}{{ $key = $provider.apiKey }}{{ end }}
{{- if and (kindIs "string" $key) (gt (len $key) 15) (not (regexMatch "^\\$\\{[A-Z][A-Z0-9_]*\\}$" $key)) }}
{{- fail (printf "config.models.providers.%s.apiKey would put a key into a ConfigMap. Keep it in a Secret: pass it with extraEnv and write {source: env, id: NAME}, or mount it with extraSecretMounts and write {source: file, provider: NAME, id: value}." $id) }}
{{- end }}
{{- end }}
{{- end }}

{{- $own := list "OPENCLAW_CONFIG_PATH" "OPENCLAW_STATE_DIR" "OPENCLAW_GATEWAY_PORT" "OPENCLAW_MANAGEMENT_PORT" "OPENCLAW_GATEWAY_TOKEN" "OPENCLAW_GATEWAY_PASSWORD" "OPENCLAW_GATEWAY_TOKEN_FILE" "OPENCLAW_GATEWAY_PASSWORD_FILE" }}
{{- range $v.extraEnv }}
{{- if has .name $own }}
{{- fail (printf "extraEnv sets %s, which the chart sets (a token or password: from the Secret in auth.existingSecret). Remove it." .name) }}
{{- end }}
{{- end }}
{{- if and (eq $v.probes.type "grpc") (dig "gateway" "tls" "enabled" false $v.config) }}
{{- fail "probes.type is grpc and config.gateway.tls.enabled is true: the kubelet's gRPC probe speaks no TLS. Use probes.type: http." }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- fail "ingress.enabled needs ingress.hosts, for example [{host: gateway.example.org}]." }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs, for example [{name: public, namespace: gateways}]." }}
{{- end }}
{{- end }}
