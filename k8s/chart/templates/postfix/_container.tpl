{{- define "mail.postfix.container" -}}
name: postfix
image: {{ include "mail.image" (dict "root" . "name" "postfix") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
ports:
  - {name: smtp, containerPort: 25}
  {{- if include "mail.submission" . }}
  - {name: submissions, containerPort: 465}
  - {name: submission, containerPort: 587}
  {{- end }}
  {{- if .Values.postfix.proxy }}
  - {name: smtp-proxy, containerPort: 12525}
  {{- if include "mail.submission" . }}
  - {name: submissions-px, containerPort: 10465}
  - {name: submission-px, containerPort: 10587}
  {{- end }}
  {{- end }}
securityContext:
  # Postfix's master has to be root to give its services other users; it keeps nothing else of root.
  runAsUser: 0
  runAsNonRoot: false
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
    add: [CHOWN, DAC_OVERRIDE, FOWNER, KILL, NET_BIND_SERVICE, SETGID, SETUID]
resources:
  {{- toYaml .Values.postfix.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: postfix-config, mountPath: /config, readOnly: true}
  {{- if include "mail.tlsSecret" . }}
  - {name: tls, mountPath: /tls, readOnly: true}
  {{- end }}
  {{- range .Values.tls.more }}
  - {name: {{ printf "tls-%s" . }}, mountPath: {{ printf "/certificates/%s" . }}, readOnly: true}
  {{- end }}
  - {name: queue, mountPath: /var/spool/postfix}
  {{- if include "mail.mailboxes" $ }}
  - {name: postfix-log, mountPath: /var/log/postfix}
  {{- end }}
  - {name: run-postfix, mountPath: /run}
  {{- if eq .Values.topology "pod" }}
  - {name: sockets, mountPath: /run/gatepost}
  {{- end }}
  - {name: tmp-postfix, mountPath: /tmp}
{{- end }}

{{- define "mail.postfix.volumes" -}}
- name: postfix-config
  configMap: {name: {{ include "mail.fullname" . }}-postfix}
{{- with include "mail.tlsSecret" . }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0400, optional: true}
{{- end }}
{{- range .Values.tls.more }}
- name: {{ printf "tls-%s" . }}
  secret: {secretName: {{ . }}, defaultMode: 0400, optional: true}
{{- end }}
- name: run-postfix
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-postfix
  emptyDir: {}
{{- end }}
