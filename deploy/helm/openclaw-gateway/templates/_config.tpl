{{/* openclaw.json: what the user wrote, and what must agree with the other objects. */}}
{{- define "openclaw.config" -}}
{{- $gateway := dict
      "mode" "local"
      "bind" "lan"
      "port" 18789
      "management" (dict "enabled" true "port" 9464)
      "shutdown" (dict "graceMs" (mul .Values.shutdown.graceSeconds 1000))
      "auth" (dict "mode" (include "openclaw.authMode" .)) }}
{{- toPrettyJson (mergeOverwrite (deepCopy (default dict .Values.config)) (dict "gateway" $gateway)) }}
{{- end }}
