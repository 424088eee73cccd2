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
    {{- $_ := set . "httpGet" (dict "path" "/handshake" "port" (include "mail.metricsPort" $.component)) }}
  {{- end }}
{{- end }}
{{- toYaml $probes }}
{{- end }}

{{- /* The part of the spec that every pod has: dict root, component */ -}}
{{- define "mail.podMetadata" -}}
labels:
  {{- include "mail.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- $labels := include "mail.merged" (merge (dict "key" "podLabels") .) | fromYaml }}
  {{- with mergeOverwrite (deepCopy .root.Values.commonLabels) $labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := include "mail.merged" (merge (dict "key" "podAnnotations") .) | fromYaml }}
{{- with include "mail.readAtStart" . | fromYaml }}
  {{- /* a change of these settings needs a new process */}}
  {{- $_ := set $annotations "gatepost/read-at-start" (toJson . | sha256sum) }}
{{- end }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* dict root, component */ -}}
{{- define "mail.podSpec" -}}
{{- $this := . }}
{{- with .root -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with include "mail.serviceAccountName" $this }}
serviceAccountName: {{ . }}
{{- end }}
{{- with include "mail.replaced" (merge (dict "key" "priorityClassName") $this) }}
priorityClassName: {{ . }}
{{- end }}
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
{{- with concat .Values.images.pullSecrets .Values.global.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with include "mail.replaced" (merge (dict "key" $key) $this) }}
{{ $key }}:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- include "mail.spread" . }}
{{- with include "mail.added" (merge (dict "key" "initContainers") .) }}
initContainers:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* topologySpreadConstraints: dict root, component, spread (true: over the nodes, unless the user
has constraints) */ -}}
{{- define "mail.spread" -}}
{{- $selector := dict "matchLabels" (include "mail.selector" . | fromYaml) }}
{{- $constraints := include "mail.replaced" (merge (dict "key" "topologySpreadConstraints") .) | fromYamlArray }}
{{- if and .spread (not $constraints) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "mail.selector" . | nindent 8 }}
{{- else if $constraints }}
topologySpreadConstraints:
  {{- range $constraints }}
  {{- $one := deepCopy . }}
  {{- if not .labelSelector }}{{ $_ := set $one "labelSelector" $selector }}{{ end }}
  {{- include "mail.wholeNumbers" $one }}
  - {{ toYaml $one | indent 4 | trim }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* The service account of a pod: dict root, component; nothing for the namespace's default. */ -}}
{{- define "mail.serviceAccountName" -}}
{{- $own := get (get .root.Values .component | default dict) "serviceAccountName" }}
{{- $account := .root.Values.serviceAccount }}
{{- $own | default $account.name | default (ternary (include "mail.fullname" .root) "" $account.create) }}
{{- end }}

{{- /* revisionHistoryLimit of a workload, when it is not that of Kubernetes, and its update strategy:
dict root, component, field (strategy or updateStrategy), strategy (YAML of the chart's own), alone
(true: two pods must never run at the same time) */ -}}
{{- define "mail.rollout" -}}
{{- with include "mail.replaced" (merge (dict "key" "revisionHistoryLimit") .) }}
{{- if ne . "10" }}
revisionHistoryLimit: {{ . }}
{{- end }}
{{- end }}
{{- $own := include "mail.own" (merge (dict "key" "updateStrategy") .) }}
{{- if $own }}
  {{- $known := ternary (list "RollingUpdate" "Recreate") (list "RollingUpdate" "OnDelete") (eq .field "strategy") }}
  {{- if .alone }}{{ $known = list "Recreate" }}{{ end }}
  {{- $strategy := fromYaml $own }}
  {{- if not (has $strategy.type $known) }}
    {{- fail (printf "%s.updateStrategy.type is %s, but here it can only be %s." .component $strategy.type (join " or " $known)) }}
  {{- end }}
  {{- if hasKey ($strategy.rollingUpdate | default dict) (ternary "partition" "maxSurge" (eq .field "strategy")) }}
    {{- fail (printf "%s.updateStrategy.rollingUpdate: a Deployment has no partition, and a StatefulSet no maxSurge." .component) }}
  {{- end }}
{{- end }}
{{- with $own | default .strategy }}
{{ $.field }}:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
