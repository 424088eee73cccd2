{{- define "mail.delivery.component" -}}
runs: {{ include "mail.delivers" $ | empty | not }}
sharesPod: true
metrics: 9105
{{- end }}

{{- /* The spam filter of this release: spamassassin, rspamd or none. */ -}}
{{- define "mail.spamEngine" -}}
{{- if not (include "mail.mailboxes" $) }}none
{{- else if eq .Values.spam.engine "auto" }}spamassassin
{{- else }}{{ .Values.spam.engine }}{{ end }}
{{- end }}

{{- /* Where ClamAV is asked: `milter`, `delivery` (the quarantine), or nothing. */ -}}
{{- define "mail.virusCheck" -}}
{{- if .Values.virus.enabled }}{{ ternary "delivery" "milter" (ne .Values.virus.quarantine "") }}{{ end }}
{{- end }}

{{- /* Whether mail passes the container delivery on its way to Dovecot: yes or nothing. */ -}}
{{- define "mail.delivers" -}}
{{- if and (include "mail.mailboxes" $) (or (ne (include "mail.spamEngine" $) "none") (eq (include "mail.virusCheck" $) "delivery")) }}yes{{ end }}
{{- end }}

{{- define "mail.delivery.config" -}}
{{- $engine := include "mail.spamEngine" $ }}
{{- $spam := dict "engine" $engine }}
{{- if eq $engine "spamassassin" }}
  {{- $spam = dict
    "engine" $engine
    "address" "inet:7830@127.0.0.1"
    "users_folder" "/var/lib/spamassassin/users"
    "max_scans" (int .Values.spamassassin.children) }}
{{- else if eq $engine "rspamd" }}
  {{- $spam = dict
    "engine" $engine
    "address" "inet:11334@127.0.0.1"
    "per_user" true
    "password_file" "/secrets/rspamd/password" }}
{{- end }}
{{- $config := dict
  "listen" "inet:10028@127.0.0.1"
  "metrics_listen" "inet:9105"
  "spool_folder" "/tmp"
  "stores" (dict "default" "inet:10024@127.0.0.1")
  "accounts" (dict "url" "unix:/run/gatepost/snapshots" "preferences" true "stores" true)
  "spam" $spam }}
{{- if ne $engine "none" }}
  {{- $learning := dict "listen" "inet:10027@127.0.0.1" }}
  {{- if eq $engine "rspamd" }}{{ $_ := set $learning "ledger_folder" "/var/lib/gatepost" }}{{ end }}
  {{- $_ := set $config "learning" $learning }}
  {{- $_ := set $config "night" (dict "imap" "inet:10143@127.0.0.1" "doveadm_url" "http://127.0.0.1:18080" "key_file" "/secrets/mailboxes/doveadm") }}
{{- end }}
{{- if eq (include "mail.virusCheck" $) "delivery" }}
  {{- $_ := set $config "virus" (dict "enabled" true "address" "inet:3310@127.0.0.1" "quarantine" .Values.virus.quarantine) }}
{{- end }}
{{- /* The field of the milter is the only one that it believes. */}}
{{- with .Values.config.milters.authserv_id }}
  {{- $_ := set $config "authserv_id" . }}
{{- end }}
{{- toYaml $config }}
{{- end }}
