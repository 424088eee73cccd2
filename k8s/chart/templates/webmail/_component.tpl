{{- define "mail.webmail.component" -}}
runs: {{ and .Values.mailboxes.enabled .Values.webmail.enabled }}
sharesPod: true
ingress:
  - ports:
      - port: 8090
{{- end }}
