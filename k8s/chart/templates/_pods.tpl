{{- /* Parts of every pod. */ -}}
{{- define "mail.restricted" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Probes use a handshake instead of an open port. Readiness is probed often; a container is
restarted only after a long silence. */ -}}
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

{{- /* Probes of a daemon of Gatepost, which shakes hands with itself when it is asked at the port of
its metrics: dict root, component. With `exec`, images/gatepost/probe asks. */ -}}
{{- define "mail.handshakeProbes" -}}
{{- $port := get (include (printf "mail.%s.component" .component) .root | fromYaml) "metrics" }}
{{- $probes := include "mail.probes" (list "probe" (toString $port)) | fromYaml }}
{{- if eq .root.Values.probes.handshake "http" }}
  {{- range $probes }}
    {{- $_ := unset . "exec" }}
    {{- $_ := set . "httpGet" (dict "path" "/handshake" "port" (printf "metrics-%s" $.component)) }}
  {{- end }}
{{- end }}
{{- toYaml $probes }}
{{- end }}

{{- /* The part of the spec that every pod has: dict root, component */ -}}
{{- define "mail.podMetadata" -}}
labels:
  {{- include "mail.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
{{- $annotations := deepCopy (.root.Values.podAnnotations | default dict) }}
{{- with include "mail.readAtStart" . | fromYaml }}
  {{- /* a change of these settings needs a new process */}}
  {{- $_ := set $annotations "gatepost/read-at-start" (toJson . | sha256sum) }}
{{- end }}
{{- with $annotations }}
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
  fsGroup: {{ int64 . }}
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
