{{- define "mail.milters.component" -}}
sharesPod: true
metrics: 9101
dns: true
{{- end }}

{{- define "mail.milters.address" -}}
{{- if eq .Values.topology "pod" }}unix:/run/gatepost/milter.sock{{ else }}inet:8891{{ end }}
{{- end }}

{{- define "mail.milters.config" -}}
{{- $config := dict
  "listen" (include "mail.milters.address" .)
  "socket_mode" "0666"
  "metrics_listen" "inet:9101"
  "keys" "/keys"
  "workers" (int .Values.milters.workers)
  "internal_networks" (concat (list "127.0.0.0/8" "::1/128") .Values.mail.networks) }}
{{- if include "mail.mailboxes" $ }}
  {{- /* From of a login has to be its own; ORIGINATING is Postfix's port for replies of Dovecot. */}}
  {{- $_ := set $config "accounts" (dict "url" "unix:/run/gatepost/snapshots" "keys" true "senders" true) }}
  {{- $_ := set $config "ownership" (dict "enforce" true) }}
  {{- $_ := set $config "sign" (dict "daemon_names" (list "ORIGINATING")) }}
{{- end }}
{{- if eq (include "mail.virusCheck" $) "milter" }}
  {{- $_ := set $config "virus" (dict "address" "inet:3310@127.0.0.1" "scan_size" 54525952 "spool_folder" "/tmp") }}
{{- end }}
{{- toYaml $config }}
{{- end }}
