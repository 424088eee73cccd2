{{- define "mail.accounts.container" -}}
name: accounts
image: {{ include "mail.image" (dict "root" . "name" "accounts") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
# creates the tables, and changes them for a new version, before it serves
args: [accounts, --migrate]
ports:
  - {name: api, containerPort: 8080}
  - {name: {{ include "mail.metricsPort" "accounts" }}, containerPort: 9103}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.accounts.resources | nindent 2 }}
{{ include "mail.handshakeProbes" (dict "root" . "component" "accounts") }}
volumeMounts:
  - {name: gatepost-config, mountPath: /etc/gatepost, readOnly: true}
  - {name: mailboxes-secrets, mountPath: /secrets/mailboxes, readOnly: true}
  {{- if .Values.backup.enabled }}
  # what `gatepost backup` takes besides the accounts
  - {name: store, mountPath: /var/lib/gatepost}
  - {name: keys, mountPath: /keys, readOnly: true}
  - {name: tls, mountPath: /tls, readOnly: true}
  {{- if .Values.webmail.enabled }}
  - {name: webmail, mountPath: /var/lib/webmail}
  {{- end }}
  {{- if include "mail.valkeySecret" . }}
  - {name: valkey-password, mountPath: /secrets/valkey, readOnly: true}
  {{- end }}
  - {name: backup, mountPath: /backup}
  {{- end }}
  - {name: accounts, mountPath: /var/lib/gatepost/accounts}
  - {name: sockets, mountPath: /run/gatepost}
{{- end }}

{{- define "mail.accounts.volumes" -}}
- name: mailboxes-secrets
  secret: {secretName: {{ include "mail.mailboxesSecret" . }}, defaultMode: 0440}
{{- if .Values.backup.enabled }}
- name: backup
  persistentVolumeClaim: {claimName: {{ .Values.persistence.backup.existingClaim | default (printf "%s-backup" (include "mail.fullname" .)) }}}
{{- end }}
- name: accounts
  persistentVolumeClaim: {claimName: {{ .Values.persistence.accounts.existingClaim | default (printf "%s-accounts" (include "mail.fullname" .)) }}}
{{- end }}
