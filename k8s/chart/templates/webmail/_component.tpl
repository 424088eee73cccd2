{{- define "mail.webmail.component" -}}
runs: {{ include "mail.webmail" $ | empty | not }}
sharesPod: true
ingress:
  - ports:
      - port: 8090
{{- end }}

{{- /* Whether webmail is in this release: yes or nothing. */ -}}
{{- define "mail.webmail" -}}
{{- if or .Values.demo (and .Values.mailboxes.enabled .Values.webmail.enabled) }}yes{{ end }}
{{- end }}
