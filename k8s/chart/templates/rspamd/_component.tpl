{{- define "mail.rspamd.component" -}}
runs: {{ eq (include "mail.spamEngine" $) "rspamd" }}
sharesPod: true
dns: true
{{- end }}

{{- /* The name of the Secret with the files password and valkey. */ -}}
{{- define "mail.rspamdSecret" -}}
{{- .Values.spam.secret | default (printf "%s-rspamd" (include "mail.fullname" .)) }}
{{- end }}
