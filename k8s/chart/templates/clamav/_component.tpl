{{- define "mail.clamav.component" -}}
runs: {{ .Values.virus.enabled }}
sharesPod: true
{{- end }}
