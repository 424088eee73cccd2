{{- define "mail.clamav.container" -}}
name: clamav
image: {{ include "mail.image" (dict "root" . "name" "clamav") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
# without signatures, clamd ends at once
command: [sh, -c, "until has-database; do sleep 5; done; exec run"]
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.clamav.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: clamav-config, mountPath: /config/clamav, readOnly: true}
  - {name: virus, mountPath: /var/lib/clamav}
  - {name: run-clamav, mountPath: /run}
  - {name: tmp-clamav, mountPath: /tmp}
{{- end }}

{{- define "mail.clamav.volumes" -}}
- name: clamav-config
  configMap: {name: {{ include "mail.fullname" . }}-clamav}
- name: virus
  persistentVolumeClaim: {claimName: {{ .Values.persistence.virus.existingClaim | default (printf "%s-virus" (include "mail.fullname" .)) }}}
- name: run-clamav
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-clamav
  emptyDir: {}
{{- end }}
