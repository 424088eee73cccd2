{{- define "mail.webmail.container" -}}
name: webmail
image: {{ include "mail.image" (dict "root" . "name" "webmail") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
env:
  # in the pod, on loopback: Dovecot trusts it, and nobody else can listen
  - {name: WEBMAIL_IMAP, value: "127.0.0.1:10143"}
  - {name: WEBMAIL_SIEVE, value: "127.0.0.1:14190"}
  - {name: WEBMAIL_SUBMISSION, value: "tls://127.0.0.1:587"}
  - {name: WEBMAIL_TLS_NAME, value: {{ .Values.mail.hostname | quote }}}
  - {name: WEBMAIL_API, value: "http://127.0.0.1:8080/api/v1"}
  - {name: WEBMAIL_PREFIX, value: {{ .Values.webmail.prefix | quote }}}
  - {name: WEBMAIL_NAME, value: {{ .Values.webmail.name | quote }}}
  - {name: WEBMAIL_PROXIES, value: {{ join " " .Values.webmail.proxies | quote }}}
  {{- if or .Values.demo .Values.webmail.ownAuthority }}
  - {name: WEBMAIL_CA_FILE, value: /authority/ca.crt}
  {{- end }}
ports:
  - {name: webmail, containerPort: 8090}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.webmail.resources | nindent 2 }}
{{ include "mail.probes" (list "probe") }}
volumeMounts:
  - {name: webmail, mountPath: /var/lib/webmail}
  - {name: tmp-webmail, mountPath: /tmp}
  {{- if or .Values.demo .Values.webmail.ownAuthority }}
  - {name: authority, mountPath: /authority, readOnly: true}
  {{- end }}
{{- end }}

{{- define "mail.webmail.volumes" -}}
- name: webmail
  persistentVolumeClaim: {claimName: {{ .Values.persistence.webmail.existingClaim | default (printf "%s-webmail" (include "mail.fullname" .)) }}}
- name: tmp-webmail
  emptyDir: {}
{{- if or .Values.demo .Values.webmail.ownAuthority }}
- name: authority
  secret:
    secretName: {{ include "mail.tlsSecret" . }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end }}
