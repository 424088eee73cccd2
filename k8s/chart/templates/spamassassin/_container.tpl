{{- define "mail.spamassassin.container" -}}
name: spamassassin
image: {{ include "mail.image" (dict "root" . "name" "spamassassin") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.spamassassin.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: spamassassin-config, mountPath: /config/spamassassin, readOnly: true}
  - {name: spam, mountPath: /var/lib/spamassassin}
  - {name: run-spamassassin, mountPath: /run}
  - {name: tmp-spamassassin, mountPath: /tmp}
{{- end }}

{{- define "mail.spamassassin.volumes" -}}
- name: spamassassin-config
  configMap: {name: {{ include "mail.fullname" . }}-spamassassin}
- name: spam
  persistentVolumeClaim: {claimName: {{ .Values.persistence.spam.existingClaim | default (printf "%s-spam" (include "mail.fullname" .)) }}}
- name: run-spamassassin
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-spamassassin
  emptyDir: {}
{{- end }}
