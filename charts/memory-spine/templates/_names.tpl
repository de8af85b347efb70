{{/* Name of everything that this release makes: the release's, with the chart's where it lacks it. */}}
{{- define "memory-spine.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{/* Labels that find the operator's pods. The NetworkPolicy of every cluster lets this name in. */}}
{{- define "memory-spine.selector" -}}
app.kubernetes.io/name: memory-spine-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "memory-spine.labels" -}}
{{ include "memory-spine.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* A role and its binding to the operator. Takes context, prefix (Cluster or empty), name, namespace, rules. */}}
{{- define "memory-spine.grant" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .prefix }}Role
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "memory-spine.labels" .context | nindent 4 }}
rules:
{{ .context.Files.Get .rules | trim }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .prefix }}RoleBinding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "memory-spine.labels" .context | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .prefix }}Role
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ include "memory-spine.name" .context }}
  namespace: {{ .context.Release.Namespace }}
{{- end }}
