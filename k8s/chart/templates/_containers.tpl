{{- /* The containers and volumes, the same in both topologies. */ -}}
{{- define "mail.restricted" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ . }}
{{- end }}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Handshakes, not open ports. Ready is asked often; only long silence is taken for death. */ -}}
{{- define "mail.probes" -}}
startupProbe:
  exec:
    command: {{ toJson . }}
  periodSeconds: 3
  timeoutSeconds: 10
  failureThreshold: 40
readinessProbe:
  exec:
    command: {{ toJson . }}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 2
livenessProbe:
  exec:
    command: {{ toJson . }}
  periodSeconds: 60
  timeoutSeconds: 15
  failureThreshold: 3
{{- end }}

{{- define "mail.milters" -}}
name: milters
image: {{ include "mail.image" (dict "root" . "name" "gatepost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
args: [milters]
ports:
  {{- if eq .Values.topology "services" }}
  - {name: milter, containerPort: 8891}
  {{- end }}
  - {name: metrics-milters, containerPort: 9101}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.milters.resources | nindent 2 }}
{{ include "mail.probes" (list "gatepost" "probe" "milter" (ternary "unix:/run/gatepost/milter.sock" "inet:8891@127.0.0.1" (eq .Values.topology "pod"))) }}
volumeMounts:
  - {name: gatepost-config, mountPath: /etc/gatepost, readOnly: true}
  - {name: keys, mountPath: /keys, readOnly: true}
  {{- if eq .Values.topology "pod" }}
  - {name: sockets, mountPath: /run/gatepost}
  {{- end }}
{{- end }}

{{- define "mail.miltersVolumes" -}}
- name: keys
  secret: {secretName: {{ .Values.dkim.secret }}, defaultMode: 0440, optional: true}
{{- end }}

{{- define "mail.policyd" -}}
name: policyd
image: {{ include "mail.image" (dict "root" . "name" "gatepost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
args: [policyd]
ports:
  {{- if eq .Values.topology "services" }}
  - {name: policy, containerPort: 10023}
  {{- end }}
  - {name: metrics-policyd, containerPort: 9102}
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
resources:
  {{- toYaml .Values.policyd.resources | nindent 2 }}
{{ include "mail.probes" (list "gatepost" "probe" "policy" (ternary "unix:/run/gatepost/policyd.sock" "inet:10023@127.0.0.1" (eq .Values.topology "pod"))) }}
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

{{- define "mail.policydVolumes" -}}
- name: store
  {{- if eq (include "mail.store" .) "sqlite" }}
  persistentVolumeClaim: {claimName: {{ .Values.persistence.store.existingClaim | default (printf "%s-store" .Release.Name) }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- if include "mail.valkeySecret" . }}
{{ include "mail.valkeyPassword" . }}
{{- end }}
{{- end }}

{{- define "mail.valkeyPassword" -}}
- name: valkey-password
  secret:
    secretName: {{ include "mail.valkeySecret" . }}
    defaultMode: 0440
    items: [{key: {{ ternary .Values.store.passwordKey "password" (ne .Values.store.passwordSecret "") }}, path: password}]
{{- end }}

{{- define "mail.postfix" -}}
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
  {{- if .Values.tls.secret }}
  - {name: tls, mountPath: /tls, readOnly: true}
  {{- end }}
  - {name: queue, mountPath: /var/spool/postfix}
  - {name: run-postfix, mountPath: /run}
  {{- if eq .Values.topology "pod" }}
  - {name: sockets, mountPath: /run/gatepost}
  {{- end }}
  - {name: tmp-postfix, mountPath: /tmp}
{{- end }}

{{- define "mail.postfixVolumes" -}}
- name: postfix-config
  configMap: {name: {{ .Release.Name }}-postfix}
{{- with .Values.tls.secret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0400, optional: true}
{{- end }}
- name: run-postfix
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp-postfix
  emptyDir: {}
{{- end }}

{{- define "mail.gatepostVolume" -}}
- name: gatepost-config
  configMap: {name: {{ .Release.Name }}-gatepost}
{{- end }}

{{- /* What every pod has: dict root, component */ -}}
{{- define "mail.podMetadata" -}}
labels:
  {{- include "mail.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
{{- with .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mail.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  {{- with .Values.fsGroup }}
  # The group of the volumes. Only a new volume is changed: a queue has owners of its own.
  fsGroup: {{ . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
dnsPolicy: {{ .Values.dnsPolicy }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
