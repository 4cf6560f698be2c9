{{/* Names. 52 characters: a StatefulSet's pods carry labels with its name and a suffix, which end at 63. */}}
{{- define "openclaw.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "openclaw.fullname" -}}
{{- $name := include "openclaw.name" . }}
{{- if .Values.fullnameOverride }}
{{- $name = .Values.fullnameOverride }}
{{- else if not (contains $name .Release.Name) }}
{{- $name = printf "%s-%s" .Release.Name $name }}
{{- else }}
{{- $name = .Release.Name }}
{{- end }}
{{- $name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "openclaw.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* A setting of `config` as text, empty if it or anything above it is absent or null: list $ "gateway.auth.mode". */}}
{{- define "openclaw.setting" -}}
{{- $at := (first .).Values.config }}
{{- range splitList "." (last .) }}
{{- if kindIs "map" $at }}{{ $at = get $at . }}{{ else }}{{ $at = "" }}{{ end }}
{{- end }}
{{- with $at }}{{ . }}{{ end }}
{{- end }}

{{- define "openclaw.headlessName" -}}
{{ include "openclaw.fullname" . }}-headless
{{- end }}

{{- define "openclaw.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "openclaw.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "openclaw.configMapName" -}}
{{- default (include "openclaw.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{- define "openclaw.image" -}}
{{- $image := .Values.image.repository }}
{{- with default .Values.image.registry .Values.global.imageRegistry }}{{ $image = printf "%s/%s" . $image }}{{ end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $image .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $image (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* `imagePullSecrets` of a pod: the chart's and the parent chart's. */}}
{{- define "openclaw.pullSecrets" -}}
{{- $names := list }}
{{- range concat (default list .Values.global.imagePullSecrets) .Values.imagePullSecrets }}
{{- if kindIs "string" . }}{{ $names = append $names . }}{{ else }}{{ $names = append $names .name }}{{ end }}
{{- end }}
{{- with uniq $names }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Labels. The selector's never change, and only they are in volume claims, which cannot be changed either. */}}
{{- define "openclaw.selectorLabels" -}}
app.kubernetes.io/name: {{ include "openclaw.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "openclaw.labels" -}}
{{- $own := dict
      "app.kubernetes.io/version" (default .Chart.AppVersion .Values.image.tag | trunc 63 | trimAll "-_.")
      "app.kubernetes.io/managed-by" .Release.Service
      "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- mergeOverwrite (fromYaml (include "openclaw.selectorLabels" .)) $own (default dict .Values.commonLabels) | toYaml }}
{{- end }}

{{- define "openclaw.podLabels" -}}
{{- mergeOverwrite (fromYaml (include "openclaw.selectorLabels" .)) (default dict .Values.commonLabels) (default dict .Values.podLabels) | toYaml }}
{{- end }}

{{/* `metadata` of a namespaced object: dict "root" $ "name" NAME, and on request "labels" and "annotations". */}}
{{- define "openclaw.metadata" -}}
metadata:
  name: {{ .name }}
  namespace: {{ default (include "openclaw.namespace" .root) .namespace }}
  labels:
    {{- mergeOverwrite (fromYaml (include "openclaw.labels" .root)) (default dict .labels) | toYaml | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The Secret of the gateway's own credential. */}}
{{- define "openclaw.authMode" -}}
{{- coalesce .Values.auth.mode (include "openclaw.setting" (list . "gateway.auth.mode")) "token" }}
{{- end }}

{{/* "true" if there is a shared secret: not behind a proxy that authenticates. */}}
{{- define "openclaw.hasSecret" -}}
{{- if has (include "openclaw.authMode" .) (list "token" "password") }}true{{ end }}
{{- end }}

{{/* "true" if the gateway itself ends TLS. */}}
{{- define "openclaw.hasTls" -}}
{{- if not .Values.existingConfigMap }}{{ include "openclaw.setting" (list . "gateway.tls.enabled") }}{{ end }}
{{- end }}

{{/* "true" if `helm test` can work: with a shared secret, and without a certificate that the pod would have to trust. */}}
{{- define "openclaw.hasTest" -}}
{{- if and (include "openclaw.hasSecret" .) (not (include "openclaw.hasTls" .)) }}true{{ end }}
{{- end }}

{{- define "openclaw.secretName" -}}
{{- default (printf "%s-auth" (include "openclaw.fullname" .)) .Values.auth.existingSecret }}
{{- end }}

{{- define "openclaw.secretKey" -}}
{{- default (include "openclaw.authMode" .) .Values.auth.existingSecretKey }}
{{- end }}

{{/* One of `ingress.hosts`: a name, or an object with `host`. */}}
{{- define "openclaw.host" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ .host }}{{ end }}
{{- end }}

{{/* Where clients in the cluster find it. */}}
{{- define "openclaw.address" -}}
{{ include "openclaw.fullname" . }}.{{ include "openclaw.namespace" . }}.svc:{{ .Values.service.port }}
{{- end }}

{{/* Time after the grace period in which the gateway ends what is left and closes: terminationGracePeriodSeconds. */}}
{{- define "openclaw.terminationSeconds" -}}
{{ add .Values.shutdown.graceSeconds 15 }}
{{- end }}

{{/* A quantity of Kubernetes in bytes, so that 2Gi and 2048Mi are the same. */}}
{{- define "openclaw.bytes" -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0
      "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 }}
{{- printf "%.0f" (mulf (regexFind "^[0-9.]+" . | float64) (get $units (regexFind "[A-Za-z]*$" .))) }}
{{- end }}
