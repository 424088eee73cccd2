{{- define "mail.spamrules.component" -}}
runs: {{ eq (include "mail.spamEngine" $) "spamassassin" }}
sharesPod: true
dns: true
{{- /* mirrors of the rules */}}
egress:
  - ports:
      - port: 80
      - port: 443
{{- end }}
