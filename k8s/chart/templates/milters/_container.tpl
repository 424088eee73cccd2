{{- define "mail.milters.container" -}}
name: milters
image: {{ include "mail.image" (dict "root" . "name" "gatepost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
args: [milters]
ports:
  {{- if eq .Values.topology "services" }}
  - {name: milter, containerPort: 8891}
  {{- end }}
  - {name: {{ include "mail.metricsPort" "milters" }}, containerPort: 9101}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.milters.resources | nindent 2 }}
{{ include "mail.handshakeProbes" (dict "root" . "component" "milters") }}
volumeMounts:
  - {name: gatepost-config, mountPath: /etc/gatepost, readOnly: true}
  - {name: keys, mountPath: /keys, readOnly: true}
  {{- if eq .Values.topology "pod" }}
  - {name: sockets, mountPath: /run/gatepost}
  {{- end }}
  {{- if include "mail.mailboxes" $ }}
  # the last keys and owners from accounts, for a start without it
  - {name: store, mountPath: /var/lib/gatepost}
  {{- end }}
  {{- if eq (include "mail.virusCheck" $) "milter" }}
  # large messages, until they are scanned
  - {name: tmp-milters, mountPath: /tmp}
  {{- end }}
{{- end }}

{{- define "mail.milters.volumes" -}}
- name: keys
  secret: {secretName: {{ .Values.dkim.secret }}, defaultMode: 0440, optional: true}
{{- if eq (include "mail.virusCheck" $) "milter" }}
- name: tmp-milters
  emptyDir: {}
{{- end }}
{{- end }}
