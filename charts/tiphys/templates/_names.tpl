{{/* Names and labels of all resources. */}}
{{- define "tiphys.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name, with the chart's where that does not say it yet. */}}
{{- define "tiphys.fullname" -}}
{{- $name := include "tiphys.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tiphys.selector" -}}
app.kubernetes.io/name: {{ include "tiphys.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tiphys.labels" -}}
{{ include "tiphys.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tiphys.image" -}}
{{ .Values.images.prefix }}/api:{{ default .Chart.AppVersion .Values.images.tag }}
{{- end -}}

{{- define "tiphys.pullSecrets" -}}
{{- with .Values.images.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "tiphys.jobsNamespace" -}}
{{ default .Release.Namespace .Values.jobs.namespace }}
{{- end -}}

{{- define "tiphys.jobsAccount" -}}
{{ default (printf "%s-jobs" (include "tiphys.fullname" .)) .Values.jobs.serviceAccount.name }}
{{- end -}}

{{- define "tiphys.cacheClaim" -}}
{{- if .Values.jobs.cache.enabled -}}
{{ default (printf "%s-cache" (include "tiphys.fullname" .)) .Values.jobs.cache.existingClaim }}
{{- end -}}
{{- end -}}

{{- define "tiphys.recordsClaim" -}}
{{ default (printf "%s-records" (include "tiphys.fullname" .)) .Values.records.sqlite.existingClaim }}
{{- end -}}

{{- define "tiphys.keysSecret" -}}
{{ default (printf "%s-keys" (include "tiphys.fullname" .)) .Values.auth.existingSecret }}
{{- end -}}

{{/* Where pods of any namespace reach the API. */}}
{{- define "tiphys.serviceUrl" -}}
{{- $port := int .Values.service.port -}}
http://{{ include "tiphys.fullname" . }}.{{ .Release.Namespace }}.svc{{ if ne $port 80 }}:{{ $port }}{{ end }}
{{- end -}}

{{/* Where people reach it. */}}
{{- define "tiphys.publicUrl" -}}
{{- if .Values.api.publicUrl -}}
{{ .Values.api.publicUrl | trimSuffix "/" }}
{{- else if .Values.ingress.enabled -}}
http{{ if .Values.ingress.tlsSecret }}s{{ end }}://{{ .Values.ingress.host }}{{ .Values.ingress.path | trimSuffix "/" }}
{{- else -}}
{{ include "tiphys.serviceUrl" . }}
{{- end -}}
{{- end -}}

{{/* Stays when the release goes: jobs that run need it to their end, and a reinstall finds it again. */}}
{{- define "tiphys.kept" -}}
helm.sh/resource-policy: keep
{{- end -}}
