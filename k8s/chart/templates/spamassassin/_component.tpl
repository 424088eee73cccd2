{{- define "mail.spamassassin.component" -}}
runs: {{ eq (include "mail.spamEngine" $) "spamassassin" }}
sharesPod: true
{{- if or .Values.spam.pyzor .Values.spam.razor .Values.spam.dnsLists }}
dns: true
{{- end }}
{{- if or .Values.spam.pyzor .Values.spam.razor }}
egress:
  - ports:
      {{- if .Values.spam.pyzor }}
      - {port: 24441, protocol: UDP}
      {{- end }}
      {{- if .Values.spam.razor }}
      - port: 2703
      {{- end }}
{{- end }}
{{- end }}
