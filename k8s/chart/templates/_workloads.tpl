{{- /* Objects of several components. Each takes a dict with root, component and the keys in its comment. */ -}}

{{- define "mail.selector" -}}
{{ include "mail.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* metadata of the object RELEASE-COMPONENT */ -}}
{{- define "mail.componentMetadata" -}}
{{ include "mail.metadata" (dict "root" .root "name" (printf "%s-%s" (include "mail.fullname" .root) .component) "component" .component) }}
{{- end }}

{{- /* The replicas of a Deployment. The autoscaler decides about those in the cluster: without a number,
Kubernetes would start again with one. */ -}}
{{- define "mail.replicas" -}}
{{- $values := index .root.Values .component }}
{{- if $values.autoscaling.enabled }}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace (printf "%s-%s" (include "mail.fullname" .root) .component) | default dict }}
{{- if $live }}{{ int64 $live.spec.replicas }}{{ end }}
{{- else }}{{ int64 $values.replicas }}{{ end }}
{{- end }}

{{- /* A replicated Deployment of mail.COMPONENT.container and .volumes; alone (true: two pods must
never run at the same time, because they would share a file) */ -}}
{{- define "mail.deployment" -}}
{{- $values := index .root.Values .component }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "mail.componentMetadata" . | nindent 2 }}
spec:
  {{- with include "mail.replicas" . }}
  replicas: {{ . }}
  {{- end }}
  {{- $strategy := ternary "# Two pods must never have the file at once.\ntype: Recreate" "rollingUpdate: {maxUnavailable: 0, maxSurge: 1}" (default false .alone) }}
  {{- include "mail.rollout" (merge (dict "field" "strategy" "strategy" $strategy) .) | trim | nindent 2 }}
  selector:
    matchLabels:
      {{- include "mail.selector" . | nindent 6 }}
  template:
    metadata:
      {{- include "mail.podMetadata" . | nindent 6 }}
    spec:
      {{- include "mail.podSpec" (merge (dict "spread" true) .) | nindent 6 }}
      containers:
        - {{ include "mail.container" . | indent 10 | trim }}
          lifecycle:
            # Until every node has heard that this pod ends, it goes on answering.
            preStop: {exec: {command: [sleep, "5"]}}
        {{- with include "mail.sidecars" . }}{{ . | nindent 8 }}{{ end }}
      volumes:
        {{- if hasKey .root.Values.config .component }}
        {{- include "mail.gatepostVolume" .root | nindent 8 }}
        {{- end }}
        {{- include (printf "mail.%s.volumes" .component) .root | nindent 8 }}
        {{- with include "mail.extraVolumes" . }}{{ . | nindent 8 }}{{ end }}
{{- end }}

{{- /* The Service inside the cluster: port, portName; headless (for a StatefulSet) */ -}}
{{- define "mail.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "mail.componentMetadata" . | nindent 2 }}
spec:
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "mail.selector" . | nindent 4 }}
  ports:
    - {name: {{ .portName }}, port: {{ .port }}, targetPort: {{ .portName }}}
{{- end }}

{{- define "mail.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "mail.componentMetadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "mail.selector" . | nindent 6 }}
{{- end }}

{{- define "mail.autoscaler" -}}
{{- $scale := (index .root.Values .component).autoscaling }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "mail.componentMetadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "mail.fullname" .root }}-{{ .component }}}
  minReplicas: {{ $scale.minReplicas }}
  maxReplicas: {{ $scale.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $scale.targetCPU }}}
{{- end }}

{{- /* A Service for clients outside the cluster: name, service (values), ports (list of dict name port
target), hostname (for external-dns; may be empty) */ -}}
{{- define "mail.frontService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- $annotations := deepCopy .service.annotations }}
  {{- with .hostname }}
    {{- $_ := set $annotations "external-dns.alpha.kubernetes.io/hostname" . }}
    {{- with $.root.Values.externalDNS.ttl }}{{ $_ := set $annotations "external-dns.alpha.kubernetes.io/ttl" (int . | toString) }}{{ end }}
  {{- end }}
  {{- include "mail.metadata" (merge (dict "annotations" $annotations "labels" .service.labels) .) | nindent 2 }}
spec:
  type: {{ .service.type }}
  {{- if or (ne .service.type "ClusterIP") .service.externalIPs }}
  externalTrafficPolicy: {{ .service.externalTrafficPolicy }}
  {{- end }}
  {{- with .service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
  {{- end }}
  {{- range $key := list "ipFamilies" "externalIPs" }}
  {{- with get $.service $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- if eq .service.type "LoadBalancer" }}
  {{- with .service.loadBalancerClass }}
  loadBalancerClass: {{ . }}
  {{- end }}
  {{- with .service.loadBalancerIP }}
  loadBalancerIP: {{ . | quote }}
  {{- end }}
  {{- with .service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  selector:
    {{- include "mail.selector" (dict "root" .root "component" (include "mail.podOf" .)) | nindent 4 }}
  ports:
    {{- range .ports }}
    {{- $nodePort := ternary "" (get $.service.nodePorts .name) (eq $.service.type "ClusterIP") }}
    - {name: {{ .name }}, port: {{ .port }}, targetPort: {{ .target }}{{ with $nodePort }}, nodePort: {{ int . }}{{ end }}}
    {{- end }}
{{- end }}
