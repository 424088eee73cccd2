{{- define "mail.bayes.component" -}}
runs: {{ eq (include "mail.spamEngine" $) "rspamd" }}
sharesPod: true
{{- end }}
