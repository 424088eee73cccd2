{{- define "mail.freshclam.component" -}}
runs: {{ .Values.virus.enabled }}
sharesPod: true
dns: true
{{- /* mirrors of the signatures */}}
egress:
  - ports:
      - port: 80
      - port: 443
{{- end }}
