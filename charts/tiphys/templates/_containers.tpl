{{/* What every container of the platform has in common. */}}
{{- define "tiphys.container" -}}
image: {{ include "tiphys.image" . }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "tiphys.apiContainer" -}}
name: api
{{ include "tiphys.container" . }}
command: [python, -m, api]
ports:
  - name: http
    containerPort: 8137
{{ include "tiphys.environment" . }}
resources:
  {{- toYaml .Values.api.resources | nindent 2 }}
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
# What the API cannot do without. Not the reconciler and not the storage: trainers must be heard while those are away.
readinessProbe:
  httpGet: {path: "/ready?check=database&check=migrations", port: http}
  periodSeconds: 5
  timeoutSeconds: 5
lifecycle:
  # The Service goes on sending requests for a moment after the pod was told to end.
  preStop:
    exec:
      command: [sleep, "5"]
volumeMounts:
  - {name: home, mountPath: /var/lib/tiphys}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "tiphys.reconcilerContainer" -}}
{{- $alive := `test -n "$(find "$TIPHYS_HOME/reconciler.alive" -mmin -%d 2>/dev/null)"` -}}
name: reconciler
{{ include "tiphys.container" . }}
command: [python, -m, api.reconciler]
{{ include "tiphys.environment" . }}
resources:
  {{- toYaml .Values.reconciler.resources | nindent 2 }}
# It touches this file at every look at the jobs, and waits with the first for the database's schema.
startupProbe:
  exec:
    command: [sh, -c, {{ printf $alive 1 | quote }}]
  periodSeconds: 3
  timeoutSeconds: 5
  failureThreshold: 100
livenessProbe:
  exec:
    command: [sh, -c, {{ printf $alive 5 | quote }}]
  periodSeconds: 30
  timeoutSeconds: 5
  failureThreshold: 3
volumeMounts:
  - {name: home, mountPath: /var/lib/tiphys}
  - {name: tmp, mountPath: /tmp}
  # Mounted here alone: the API beside it has no business with the cluster.
  - {name: cluster-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  {{- with .Values.argo.server }}
  {{- if and .url .tokenSecret }}
  - {name: argo-token, mountPath: /etc/tiphys/argo-token, readOnly: true}
  {{- end }}
  {{- if and .url .caConfigMap }}
  - {name: argo-ca, mountPath: /etc/tiphys/argo-ca, readOnly: true}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "tiphys.reconcilerVolumes" -}}
- name: cluster-token
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
      - downwardAPI:
          items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
{{- with .Values.argo.server }}
{{- if and .url .tokenSecret }}
- name: argo-token
  secret:
    secretName: {{ .tokenSecret }}
    items: [{key: {{ .tokenKey }}, path: token}]
{{- end }}
{{- if and .url .caConfigMap }}
- name: argo-ca
  configMap:
    name: {{ .caConfigMap }}
    items: [{key: {{ .caKey }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- end -}}

{{/* Annotations that make pods anew where the settings changed. */}}
{{- define "tiphys.podAnnotations" -}}
checksum/settings: {{ include "tiphys.settings" . | sha256sum }}
{{- end -}}
