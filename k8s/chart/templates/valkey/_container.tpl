{{- define "mail.valkey.container" -}}
name: valkey
image: {{ include "mail.image" (dict "root" . "name" "valkey") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
ports:
  - {name: valkey, containerPort: 6379}
env:
  - {name: VALKEY_MAXMEMORY, value: {{ .Values.valkey.maxmemory | quote }}}
  # the name of a file, not a secret
  - {name: VALKEY_PASSWORD_FILE, value: /secrets/valkey/password}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.valkey.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: data, mountPath: /var/lib/valkey}
  - {name: tmp, mountPath: /tmp}
  - {name: valkey-password, mountPath: /secrets/valkey, readOnly: true}
{{- end }}

{{- define "mail.valkey.volumes" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{ include "mail.valkeyPassword" . }}
{{- end }}
