{{- define "mail.policyd.container" -}}
name: policyd
image: {{ include "mail.image" (dict "root" . "name" "gatepost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
args: [policyd]
ports:
  {{- if eq .Values.topology "services" }}
  - {name: policy, containerPort: 10023}
  {{- end }}
  - {name: {{ include "mail.metricsPort" "policyd" }}, containerPort: 9102}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.policyd.resources | nindent 2 }}
{{ include "mail.handshakeProbes" (dict "root" . "component" "policyd") }}
volumeMounts:
  - {name: gatepost-config, mountPath: /etc/gatepost, readOnly: true}
  - {name: store, mountPath: /var/lib/gatepost}
  {{- if eq .Values.topology "pod" }}
  - {name: sockets, mountPath: /run/gatepost}
  {{- end }}
  {{- if include "mail.valkeySecret" . }}
  - {name: valkey-password, mountPath: /secrets/valkey, readOnly: true}
  {{- end }}
{{- end }}

{{- define "mail.policyd.volumes" -}}
- name: store
  {{- if eq (include "mail.store" .) "sqlite" }}
  persistentVolumeClaim: {claimName: {{ .Values.persistence.store.existingClaim | default (printf "%s-store" (include "mail.fullname" .)) }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- if include "mail.valkeySecret" . }}
{{ include "mail.valkeyPassword" . }}
{{- end }}
{{- end }}
