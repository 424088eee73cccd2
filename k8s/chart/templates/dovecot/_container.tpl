{{- define "mail.dovecot.container" -}}
name: dovecot
image: {{ include "mail.image" (dict "root" . "name" "dovecot") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
ports:
  - {name: imap, containerPort: 10143}
  - {name: imaps, containerPort: 10993}
  - {name: pop3, containerPort: 10110}
  - {name: pop3s, containerPort: 10995}
  - {name: sieve, containerPort: 14190}
  {{- if .Values.postfix.proxy }}
  - {name: imap-proxy, containerPort: 11143}
  - {name: imaps-proxy, containerPort: 11993}
  - {name: pop3-proxy, containerPort: 11110}
  - {name: pop3s-proxy, containerPort: 11995}
  - {name: sieve-proxy, containerPort: 15190}
  {{- end }}
  - {name: {{ include "mail.metricsPort" "dovecot" }}, containerPort: 9104}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.dovecot.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: dovecot-config, mountPath: /config, readOnly: true}
  - {name: tls, mountPath: /tls, readOnly: true}
  {{- range .Values.tls.more }}
  - {name: {{ printf "tls-%s" . }}, mountPath: {{ printf "/certificates/%s" . }}, readOnly: true}
  {{- end }}
  - {name: mailboxes-secrets, mountPath: /secrets, readOnly: true}
  {{- if .Values.dovecot.encryption.secret }}
  - {name: mail-keys, mountPath: /mail-keys, readOnly: true}
  {{- end }}
  - {name: mail, mountPath: /srv/mail}
  {{- if .Values.backup.enabled }}
  # Dovecot copies the mail itself
  - {name: backup, mountPath: /backup}
  {{- end }}
  - {name: run-dovecot, mountPath: /run}
  - {name: sockets, mountPath: /run/gatepost}
  - {name: tmp-dovecot, mountPath: /tmp}
{{- end }}

{{- define "mail.dovecot.volumes" -}}
- name: dovecot-config
  configMap: {name: {{ include "mail.fullname" . }}-dovecot}
- name: mail
  persistentVolumeClaim: {claimName: {{ .Values.persistence.mail.existingClaim | default (printf "%s-mail" (include "mail.fullname" .)) }}}
{{- if .Values.dovecot.encryption.secret }}
- name: mail-keys
  secret: {secretName: {{ .Values.dovecot.encryption.secret }}, defaultMode: 0440}
{{- end }}
- name: run-dovecot
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-dovecot
  emptyDir: {}
{{- end }}
