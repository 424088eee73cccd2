{{- define "mail.training.container" -}}
name: training
image: {{ include "mail.image" (dict "root" . "name" "gatepost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
command: [daily, {{ .Values.spam.trainAt | quote }}, gatepost, spam, train]
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.training.resources | nindent 2 }}
{{ include "mail.probes" (list "daily" "--check") }}
volumeMounts:
  - {name: gatepost-config, mountPath: /etc/gatepost, readOnly: true}
  # the key with which it reads the mailboxes
  - {name: doveadm-key, mountPath: /secrets/mailboxes, readOnly: true}
  - {name: sockets, mountPath: /run/gatepost}
  - {name: store, mountPath: /var/lib/gatepost}
  {{- if eq (include "mail.spamEngine" $) "spamassassin" }}
  - {name: spam, mountPath: /var/lib/spamassassin}
  {{- else }}
  - {name: rspamd-secrets, mountPath: /secrets/rspamd, readOnly: true}
  {{- end }}
  - {name: tmp-training, mountPath: /tmp}
{{- end }}

{{- define "mail.training.volumes" -}}
- name: doveadm-key
  secret:
    secretName: {{ include "mail.mailboxesSecret" . }}
    defaultMode: 0440
    items: [{key: doveadm, path: doveadm}]
- name: tmp-training
  emptyDir: {}
{{- end }}
