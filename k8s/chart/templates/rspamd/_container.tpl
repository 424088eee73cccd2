{{- define "mail.rspamd.container" -}}
name: rspamd
image: {{ include "mail.image" (dict "root" . "name" "rspamd") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.rspamd.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: rspamd-config, mountPath: /config/rspamd, readOnly: true}
  - {name: rspamd-secrets, mountPath: /secrets/rspamd, readOnly: true}
  - {name: spam, mountPath: /var/lib/rspamd}
  - {name: run-rspamd, mountPath: /run}
  - {name: tmp-rspamd, mountPath: /tmp}
{{- end }}

{{- define "mail.rspamd.volumes" -}}
# the password is among the settings
- name: rspamd-config
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: {{ include "mail.fullname" . }}-rspamd}
      - secret:
          name: {{ include "mail.rspamdSecret" . }}
          items: [{key: password, path: password}]
- name: rspamd-secrets
  secret: {secretName: {{ include "mail.rspamdSecret" . }}, defaultMode: 0440}
- name: spam
  persistentVolumeClaim: {claimName: {{ .Values.persistence.spam.existingClaim | default (printf "%s-spam" (include "mail.fullname" .)) }}}
- name: run-rspamd
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-rspamd
  emptyDir: {}
{{- end }}
