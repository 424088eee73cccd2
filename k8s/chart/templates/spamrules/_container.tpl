{{- define "mail.spamrules.container" -}}
name: spamrules
image: {{ include "mail.image" (dict "root" . "name" "spamassassin") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
command: [daily, {{ .Values.spam.updateAt | quote }}, update-rules]
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.spamrules.resources | nindent 2 }}
{{ include "mail.probes" (list "daily" "--check") }}
volumeMounts:
  - {name: spamassassin-config, mountPath: /config/spamassassin, readOnly: true}
  - {name: spam, mountPath: /var/lib/spamassassin}
  - {name: run-spamrules, mountPath: /run}
  - {name: tmp-spamrules, mountPath: /tmp}
{{- end }}

{{- define "mail.spamrules.volumes" -}}
- name: run-spamrules
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-spamrules
  emptyDir: {}
{{- end }}
