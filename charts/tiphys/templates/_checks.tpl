{{/* What the schema cannot say, since it is about two values at once; all of it is told together. */}}
{{- define "tiphys.checks" -}}
{{- $wrong := list -}}
{{- if eq .Values.records.backend "sqlite" -}}
{{- if gt (int .Values.api.replicas) 1 -}}
{{- $wrong = append $wrong "api.replicas is more than 1, and SQLite is one process's file: set records.backend to postgresql, or api.replicas to 1" -}}
{{- end -}}
{{- if gt (int .Values.reconciler.replicas) 1 -}}
{{- $wrong = append $wrong "reconciler.replicas is more than 1, and with SQLite it runs beside the API, once: set records.backend to postgresql, or reconciler.replicas to 1" -}}
{{- end -}}
{{- else if not .Values.records.postgresql.existingSecret -}}
{{- $wrong = append $wrong "records.postgresql.existingSecret is not set: name a Secret whose key url holds the address, postgresql://user:password@host:5432/name" -}}
{{- end -}}
{{- if not .Values.storage.bucket -}}
{{- $wrong = append $wrong "storage.bucket is not set: name the bucket in which datasets, checkpoints and logs lie" -}}
{{- end -}}
{{- if ne .Values.storage.type "s3" -}}
{{- if not .Values.storage.endpoint -}}
{{- $wrong = append $wrong (printf "storage.endpoint is not set: with storage.type %s give the server's address, e.g. http://minio.storage.svc:9000" .Values.storage.type) -}}
{{- end -}}
{{- if not .Values.storage.existingSecret -}}
{{- $wrong = append $wrong (printf "storage.existingSecret is not set: with storage.type %s name a Secret with the keys %s and %s" .Values.storage.type .Values.storage.accessKeyKey .Values.storage.secretKeyKey) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- $wrong = append $wrong "ingress.host is not set: name the host under which people reach the API, or set ingress.enabled to false" -}}
{{- end -}}
{{- if and .Values.jobs.quota.enabled (not .Values.jobs.quota.hard) -}}
{{- $wrong = append $wrong "jobs.quota.hard is empty: name what is limited, e.g. {requests.nvidia.com/gpu: 8}, or set jobs.quota.enabled to false" -}}
{{- end -}}
{{- if and .Values.jobs.quota.enabled (not .Values.jobs.quota.limitRange.default) (not .Values.jobs.quota.limitRange.defaultRequest) -}}
{{- range $what, $much := .Values.jobs.quota.hard -}}
{{- if regexMatch "^((requests|limits)\\.)?(cpu|memory|ephemeral-storage)$" $what -}}
{{- $wrong = append $wrong (printf "jobs.quota.hard limits %s, and no pod would start: Argo's own containers do not say how much they use; set jobs.quota.limitRange to what is taken for them, or limit GPUs, pods and claims only" $what) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.jobs.serviceAccount.create) (not .Values.jobs.serviceAccount.name) -}}
{{- $wrong = append $wrong "jobs.serviceAccount.name is not set: name an account that may create and patch workflowtaskresults, or set jobs.serviceAccount.create to true" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "these values cannot work together:\n  - %s" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}
