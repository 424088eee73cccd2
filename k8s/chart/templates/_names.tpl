{{- /* Names, labels, images and the answers to "which topology". */ -}}
{{- define "mail.labels" -}}
app.kubernetes.io/name: mail
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mail.metadataLabels" -}}
{{ include "mail.labels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* metadata of an object: dict root, name, component (may be empty), labels (may be missing) */ -}}
{{- define "mail.metadata" -}}
name: {{ .name }}
labels:
  {{- include "mail.metadataLabels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "mail.image" -}}
{{- $image := index .root.Values.images .name -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "mail.store" -}}
{{- if ne .Values.store.kind "auto" }}{{ .Values.store.kind }}
{{- else if eq .Values.topology "services" }}valkey
{{- else }}sqlite{{ end }}
{{- end }}

{{- define "mail.runsValkey" -}}
{{- if and (eq (include "mail.store" .) "valkey") (not .Values.store.url) }}yes{{ end }}
{{- end }}

{{- /* The Secret with Valkey's password: the user's, or the one that valkey.yaml generates. Empty: a
server of the user's that asks for none. */ -}}
{{- define "mail.valkeySecret" -}}
{{- if eq (include "mail.store" .) "valkey" }}
{{- if .Values.store.passwordSecret }}{{ .Values.store.passwordSecret }}
{{- else if include "mail.runsValkey" . }}{{ .Release.Name }}-valkey
{{- end }}
{{- end }}
{{- end }}

{{- /* Whether submission can open: yes or nothing. */ -}}
{{- define "mail.submission" -}}
{{- if .Values.postfix.sasl }}yes{{ end }}
{{- end }}

{{- /* Make whole numbers whole again: those of a values file are floating-point, and a size of
1e+07 octets is none. Changes the dictionary; writes nothing. */ -}}
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

{{- /* Whether two networks of IPv4 have an address in common: dict a, b; yes or nothing. IPv6 only
when they are written alike. */ -}}
{{- define "mail.overlap" -}}
{{- $size := 1 }}
{{- range until (int (sub 32 (min (last (splitList "/" .a)) (last (splitList "/" .b))))) }}{{ $size = mul $size 2 }}{{ end }}
{{- $blocks := list }}
{{- range list .a .b }}
  {{- $number := 0 }}
  {{- range splitList "." (first (splitList "/" .)) }}{{ $number = add (mul $number 256) . }}{{ end }}
  {{- $blocks = append $blocks (div $number $size) }}
{{- end }}
{{- if or (eq .a .b) (and (not (contains ":" (cat .a .b))) (eq (first $blocks) (last $blocks))) }}yes{{ end }}
{{- end }}

{{- define "mail.milterAddress" -}}
{{- if eq .Values.topology "pod" }}unix:/run/gatepost/milter.sock{{ else }}inet:8891{{ end }}
{{- end }}
{{- define "mail.policyAddress" -}}
{{- if eq .Values.topology "pod" }}unix:/run/gatepost/policyd.sock{{ else }}inet:10023{{ end }}
{{- end }}
