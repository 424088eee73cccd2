{{- /* Names, labels, images and the answers to "which topology". */ -}}
{{- define "mail.labels" -}}
app.kubernetes.io/name: mail
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mail.metadataLabels" -}}
{{ include "mail.labels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* metadata of an object: dict root, name, component (may be empty), labels (may be missing) */ -}}
{{- define "mail.metadata" -}}
name: {{ .name }}
labels:
  {{- include "mail.metadataLabels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "mail.image" -}}
{{- $image := index .root.Values.images .name -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "mail.store" -}}
{{- if ne .Values.store.kind "auto" }}{{ .Values.store.kind }}
{{- else if eq .Values.topology "services" }}valkey
{{- else }}sqlite{{ end }}
{{- end }}

{{- define "mail.runsValkey" -}}
{{- if and (eq (include "mail.store" .) "valkey") (not .Values.store.url) }}yes{{ end }}
{{- end }}

{{- /* Whether submission can open: yes or nothing. */ -}}
{{- define "mail.submission" -}}
{{- if .Values.postfix.sasl }}yes{{ end }}
{{- end }}

{{- define "mail.milterAddress" -}}
{{- if eq .Values.topology "pod" }}unix:/run/gatepost/milter.sock{{ else }}inet:8891{{ end }}
{{- end }}
{{- define "mail.policyAddress" -}}
{{- if eq .Values.topology "pod" }}unix:/run/gatepost/policyd.sock{{ else }}inet:10023{{ end }}
{{- end }}
