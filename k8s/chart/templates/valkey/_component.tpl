{{- define "mail.valkey.component" -}}
runs: {{ eq (include "mail.runsValkey" .) "yes" }}
{{- end }}
