{{- define "mail.dovecot.component" -}}
runs: {{ include "mail.mailboxes" $ | empty | not }}
sharesPod: true
metrics: 9104
frontPorts: {{ include "mail.dovecot.frontPorts" . | fromYamlArray | toJson }}
ingress:
  - ports:
      {{- range list 10143 10993 10110 10995 14190 }}
      - port: {{ . }}
      {{- end }}
  {{- if .Values.postfix.proxy }}
  - from:
      {{- range .Values.mail.proxyNetworks }}
      - ipBlock: {cidr: {{ . | quote }}}
      {{- end }}
    ports:
      {{- range list 11143 11993 11110 11995 15190 }}
      - port: {{ . }}
      {{- end }}
  {{- end }}
{{- end }}

{{- /* The ports of the Service for clients: name and port. */ -}}
{{- define "mail.dovecot.frontPorts" -}}
{{- range $name, $port := dict "imap" 143 "imaps" 993 "pop3" 110 "pop3s" 995 "sieve" 4190 }}
- {name: {{ $name }}, port: {{ $port }}}
{{- end }}
{{- end }}
