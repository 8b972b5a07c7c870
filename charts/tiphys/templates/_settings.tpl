{{/* The platform's settings out of the chart's values. */}}
{{- define "tiphys.settings" -}}
TIPHYS_ENGINE: argo
TIPHYS_HOST: 0.0.0.0
{{/* Said, since Kubernetes itself sets it to an address where a Service is called tiphys. */ -}}
TIPHYS_PORT: "8137"
TIPHYS_PUBLIC_URL: {{ include "tiphys.serviceUrl" . | quote }}
TIPHYS_JOB_URL: {{ include "tiphys.publicUrl" . | quote }}
TIPHYS_IMAGE_PREFIX: {{ .Values.images.prefix | quote }}
TIPHYS_IMAGE_TAG: {{ default .Chart.AppVersion .Values.images.tag | quote }}
TIPHYS_IMAGE_PULL_SECRETS: {{ .Values.images.pullSecrets | toJson | quote }}
TIPHYS_STORAGE_TYPE: {{ .Values.storage.type | quote }}
TIPHYS_STORAGE_BUCKET: {{ .Values.storage.bucket | quote }}
{{- with .Values.storage.endpoint }}
TIPHYS_STORAGE_ENDPOINT: {{ . | quote }}
{{- end }}
TIPHYS_ARGO_NAMESPACE: {{ include "tiphys.jobsNamespace" . | quote }}
{{- with .Values.argo.ui }}
TIPHYS_ARGO_UI: {{ . | quote }}
{{- end }}
{{- with .Values.argo.server }}
{{- if .url }}
TIPHYS_ARGO_SERVER: {{ .url | quote }}
{{- if .tokenSecret }}
TIPHYS_ARGO_TOKEN_FILE: /etc/tiphys/argo-token/token
{{- end }}
{{- if .caConfigMap }}
TIPHYS_ARGO_CA: /etc/tiphys/argo-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}
TIPHYS_WORKFLOW_SERVICE_ACCOUNT: {{ include "tiphys.jobsAccount" . | quote }}
TIPHYS_NODE_SELECTOR: {{ .Values.jobs.nodeSelector | toJson | quote }}
TIPHYS_GPU_NODE_SELECTOR: {{ .Values.jobs.gpu.nodeSelector | toJson | quote }}
TIPHYS_GPU_TOLERATIONS: {{ .Values.jobs.gpu.tolerations | toJson | quote }}
{{- with include "tiphys.cacheClaim" . }}
TIPHYS_CACHE_CLAIM: {{ . | quote }}
TIPHYS_CACHE_LIMIT: {{ $.Values.jobs.cache.limit | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- /* A large number would be written as 1e+06. */}}
TIPHYS_{{ upper $name }}: {{ if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ int64 $value | quote }}{{ else }}{{ $value | quote }}{{ end }}{{ else }}{{ $value | quote }}{{ end }}
{{- end }}
{{- end -}}

{{/* Variables of one container: the settings, and the secrets by reference. */}}
{{- define "tiphys.environment" -}}
envFrom:
  - configMapRef:
      name: {{ include "tiphys.fullname" . }}
env:
  - name: TIPHYS_USER_TOKEN
    valueFrom:
      secretKeyRef:
        name: {{ include "tiphys.keysSecret" . }}
        key: {{ .Values.auth.userTokenKey }}
  - name: TIPHYS_SIGNING_KEYS
    valueFrom:
      secretKeyRef:
        name: {{ include "tiphys.keysSecret" . }}
        key: {{ .Values.auth.signingKeysKey }}
  {{- if eq .Values.records.backend "postgresql" }}
  - name: TIPHYS_DATABASE_URL
    valueFrom:
      secretKeyRef:
        name: {{ .Values.records.postgresql.existingSecret }}
        key: {{ .Values.records.postgresql.key }}
  {{- end }}
  {{- with .Values.storage.existingSecret }}
  - name: TIPHYS_STORAGE_ACCESS_KEY
    valueFrom:
      secretKeyRef:
        name: {{ . }}
        key: {{ $.Values.storage.accessKeyKey }}
  - name: TIPHYS_STORAGE_SECRET_KEY
    valueFrom:
      secretKeyRef:
        name: {{ . }}
        key: {{ $.Values.storage.secretKeyKey }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
