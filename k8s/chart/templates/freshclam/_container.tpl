{{- define "mail.freshclam.container" -}}
name: freshclam
image: {{ include "mail.image" (dict "root" . "name" "clamav") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
# the image runs clamd without this
command: [freshclam, --daemon]
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.freshclam.resources | nindent 2 }}
{{ include "mail.probes" (list "has-database") }}
volumeMounts:
  - {name: clamav-config, mountPath: /config/clamav, readOnly: true}
  - {name: virus, mountPath: /var/lib/clamav}
  - {name: run-freshclam, mountPath: /run}
  - {name: tmp-freshclam, mountPath: /tmp}
{{- end }}

{{- define "mail.freshclam.volumes" -}}
- name: run-freshclam
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-freshclam
  emptyDir: {}
{{- end }}
