{{- define "mail.delivery.container" -}}
name: delivery
image: {{ include "mail.image" (dict "root" . "name" "gatepost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
args: [delivery]
ports:
  - {name: {{ include "mail.metricsPort" "delivery" }}, containerPort: 9105}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.delivery.resources | nindent 2 }}
{{ include "mail.handshakeProbes" (dict "root" . "component" "delivery") }}
volumeMounts:
  - {name: gatepost-config, mountPath: /etc/gatepost, readOnly: true}
  - {name: sockets, mountPath: /run/gatepost}
  # the last preferences from accounts, for a start without it
  - {name: store, mountPath: /var/lib/gatepost}
  {{- if eq (include "mail.spamEngine" $) "spamassassin" }}
  - {name: spam, mountPath: /var/lib/spamassassin}
  {{- else if eq (include "mail.spamEngine" $) "rspamd" }}
  - {name: rspamd-secrets, mountPath: /secrets/rspamd, readOnly: true}
  {{- end }}
  # large messages in progress
  - {name: tmp-delivery, mountPath: /tmp}
{{- end }}

{{- define "mail.delivery.volumes" -}}
- name: tmp-delivery
  emptyDir: {}
{{- end }}
