{{- define "mail.policyd.component" -}}
sharesPod: true
metrics: 9102
dns: true
{{- if include "mail.runsValkey" . }}
reaches:
  - {component: valkey, ports: [6379]}
{{- else if eq (include "mail.store" .) "valkey" }}
{{- /* The user's own store may have another port. */}}
reaches:
  - ports:
      - {{ regexFind "[0-9]+$" (regexFind ":[0-9]+$" (regexReplaceAll "^[a-z]+://([^/?]*).*$" .Values.store.url "${1}")) | default "6379" }}
      {{- range .Values.networkPolicy.storePorts }}
      - {{ int . }}
      {{- end }}
{{- end }}
{{- end }}

{{- define "mail.policyd.address" -}}
{{- if eq .Values.topology "pod" }}unix:/run/gatepost/policyd.sock{{ else }}inet:10023{{ end }}
{{- end }}

{{- define "mail.policyd.config" -}}
{{- $store := dict "kind" (include "mail.store" .) }}
{{- if eq (include "mail.store" .) "sqlite" }}
  {{- $_ := set $store "path" "/var/lib/gatepost/policyd.sqlite" }}
{{- else }}
  {{- $_ := set $store "url" (.Values.store.url | default (printf "valkey://%s-valkey:6379/0" (include "mail.fullname" .))) }}
  {{- if include "mail.valkeySecret" . }}
    {{- $_ := set $store "password_file" "/secrets/valkey/password" }}
  {{- end }}
{{- end }}
{{- $config := dict
  "listen" (include "mail.policyd.address" .)
  "socket_mode" "0666"
  "metrics_listen" "inet:9102"
  "store" $store }}
{{- if include "mail.mailboxes" $ }}
  {{- $_ := set $config "accounts" (dict "url" "unix:/run/gatepost/snapshots" "greylist" true) }}
{{- end }}
{{- toYaml $config }}
{{- end }}
