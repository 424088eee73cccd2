{{- define "mail.training.component" -}}
runs: {{ ne (include "mail.spamEngine" $) "none" }}
sharesPod: true
{{- end }}
