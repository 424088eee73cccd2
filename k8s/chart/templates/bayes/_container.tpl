{{- define "mail.bayes.container" -}}
name: bayes
image: {{ include "mail.image" (dict "root" . "name" "valkey") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
env:
  - {name: VALKEY_MAXMEMORY, value: {{ .Values.bayes.maxmemory | quote }}}
  # the name of a file, not a secret
  - {name: VALKEY_PASSWORD_FILE, value: /secrets/rspamd/valkey}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.bayes.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: bayes, mountPath: /var/lib/valkey}
  - {name: rspamd-secrets, mountPath: /secrets/rspamd, readOnly: true}
  - {name: tmp-bayes, mountPath: /tmp}
{{- end }}

{{- define "mail.bayes.volumes" -}}
- name: bayes
  persistentVolumeClaim: {claimName: {{ .Values.persistence.bayes.existingClaim | default (printf "%s-bayes" (include "mail.fullname" .)) }}}
- name: tmp-bayes
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
