{{- define "mail.accounts.component" -}}
runs: {{ include "mail.mailboxes" $ | empty | not }}
sharesPod: true
metrics: 9103
dns: true
ingress:
  - ports:
      - port: 8080
{{- end }}

{{- define "mail.accounts.config" -}}
{{- /* The user's own servers take precedence: they may be behind another name. */}}
{{- $offered := dict }}
{{- range $name, $port := dict "imaps" 993 "sieve" 4190 "submission" 587 "submissions" 465 }}
  {{- $_ := set $offered $name (printf "%s:%d" $.Values.mail.hostname $port) }}
{{- end }}
{{- dict
  "listen" "unix:/run/gatepost/accounts"
  "sasl_listen" "unix:/run/gatepost/auth"
  "domains_listen" list
  "mailboxes_listen" list
  "aliases_listen" list
  "dovecot_listen" "inet:8081@127.0.0.1"
  "dict_listen" "unix:/run/gatepost/rules"
  "http_listen" "inet:8080"
  "pages" (dict "enabled" true)
  "snapshot_listen" "unix:/run/gatepost/snapshots"
  "max_connections" 1000
  "socket_mode" "0666"
  "metrics_listen" "inet:9103"
  "database" (dict "url" "sqlite:////var/lib/gatepost/accounts/accounts.db" "key_file" "/secrets/mailboxes/seal")
  "dovecot" (dict "doveadm_url" "http://127.0.0.1:18080" "doveadm_key_file" "/secrets/mailboxes/doveadm")
  "autoconfig" (mergeOverwrite $offered (deepCopy (.Values.config.accounts.autoconfig | default dict)))
  "srs" (dict "domain" .Values.mail.hostname "secret_file" "/secrets/mailboxes/srs") | toYaml }}
{{- end }}

{{- /* Whether the mailboxes are in this release: yes or nothing. */ -}}
{{- define "mail.mailboxes" -}}
{{- if or .Values.demo .Values.mailboxes.enabled }}yes{{ end }}
{{- end }}

{{- /* The name of the Secret with the files seal, doveadm and srs. */ -}}
{{- define "mail.mailboxesSecret" -}}
{{- .Values.mailboxes.secret | default (printf "%s-mailboxes" (include "mail.fullname" .)) }}
{{- end }}
