{{- define "mail.store" -}}
{{- if ne .Values.store.kind "auto" }}{{ .Values.store.kind }}
{{- else if eq .Values.topology "services" }}valkey
{{- else }}sqlite{{ end }}
{{- end }}

{{- define "mail.runsValkey" -}}
{{- if and (eq (include "mail.store" .) "valkey") (not .Values.store.url) }}yes{{ end }}
{{- end }}

{{- /* The Secret with Valkey's password: the user's, or the one that secret.yaml generates. Empty for
a user's server without a password. */ -}}
{{- define "mail.valkeySecret" -}}
{{- if eq (include "mail.store" .) "valkey" }}
{{- if .Values.store.passwordSecret }}{{ .Values.store.passwordSecret }}
{{- else if include "mail.runsValkey" . }}{{ include "mail.fullname" . }}-valkey
{{- end }}
{{- end }}
{{- end }}

{{- define "mail.valkeyPassword" -}}
- name: valkey-password
  secret:
    secretName: {{ include "mail.valkeySecret" . }}
    defaultMode: 0440
    items: [{key: {{ ternary .Values.store.passwordKey "password" (ne .Values.store.passwordSecret "") }}, path: password}]
{{- end }}
