{{- /* Names, labels and images. */ -}}
{{- /* The beginning of all names: the release, with nameOverride if it does not have that already, or
fullnameOverride. */ -}}
{{- define "mail.fullname" -}}
{{- $release := .Release.Name }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if and .Values.nameOverride (not (contains .Values.nameOverride $release)) }}{{ printf "%s-%s" $release .Values.nameOverride }}
{{- else }}{{ $release }}{{ end }}
{{- end }}

{{- define "mail.labels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mail.metadataLabels" -}}
{{ include "mail.labels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* metadata of an object: dict root, name, component (may be empty), and, where needed, labels,
annotations, keep (why helm leaves the object when the release is removed) and policy (that of helm, if
it is not `keep`) */ -}}
{{- define "mail.metadata" -}}
name: {{ .name }}
labels:
  {{- include "mail.metadataLabels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with mergeOverwrite (deepCopy .root.Values.commonLabels) (.labels | default dict) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := mergeOverwrite (deepCopy .root.Values.commonAnnotations) (.annotations | default dict) }}
{{- if or .keep .policy }}{{ $annotations = omit $annotations "helm.sh/resource-policy" }}{{ end }}
{{- if or $annotations .keep .policy }}
annotations:
  {{- with $annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .keep }}
  # {{ . }}
  {{- end }}
  {{- if or .keep .policy }}
  helm.sh/resource-policy: {{ .policy | default "keep" }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* The name of the port of a component's metrics: Kubernetes takes at most 15 characters. */ -}}
{{- define "mail.metricsPort" -}}
{{- printf "metrics-%s" . | trunc 15 | trimSuffix "-" }}
{{- end }}

{{- /* The image of a name: dict root, name. global.imageRegistry replaces the registry of its
repository; a digest replaces the tag. */ -}}
{{- define "mail.image" -}}
{{- $image := index .root.Values.images .name -}}
{{- $repository := $image.repository }}
{{- with .root.Values.global.imageRegistry }}
  {{- $parts := splitList "/" $repository }}
  {{- if and (gt (len $parts) 1) (regexMatch "[.:]|^localhost$" (first $parts)) }}{{ $parts = rest $parts }}{{ end }}
  {{- $repository = join "/" (prepend $parts .) }}
{{- end }}
{{- $repository }}{{ with $image.digest }}@{{ . }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Convert floating-point numbers back to integers: Helm reads all numbers of a values file as
floating-point, and 1e+07 is no valid size. Changes the dictionary; renders nothing. */ -}}
{{- define "mail.wholeNumbers" -}}
{{- $in := . }}
{{- range $key, $value := . }}
  {{- if kindIs "float64" $value }}
    {{- if eq $value (floor $value) }}{{ $_ := set $in $key (int64 $value) }}{{ end }}
  {{- else if kindIs "map" $value }}
    {{- include "mail.wholeNumbers" $value }}
  {{- else if kindIs "slice" $value }}
    {{- $items := list }}
    {{- range $value }}
      {{- $one := dict "it" . }}
      {{- include "mail.wholeNumbers" $one }}
      {{- $items = append $items $one.it }}
    {{- end }}
    {{- $_ := set $in $key $items }}
  {{- end }}
{{- end }}
{{- end }}

