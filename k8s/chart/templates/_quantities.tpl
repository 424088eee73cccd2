{{- /* Quantities of Kubernetes. */ -}}

{{- /* The number that a quantity means, such as 0.25 for 250m: a string or number. */ -}}
{{- define "mail.quantity" -}}
{{- $text := toString . }}
{{- $suffix := regexFind "([mkMGTPE]|[KMGTPE]i)$" $text }}
{{- $number := trimSuffix $suffix $text | float64 }}
{{- if eq $suffix "m" }}{{ divf $number 1000 }}
{{- else if hasSuffix "i" $suffix }}
  {{- range until (add1 (index (dict "Ki" 0 "Mi" 1 "Gi" 2 "Ti" 3 "Pi" 4 "Ei" 5) $suffix) | int) }}{{ $number = mulf $number 1024 }}{{ end }}
  {{- $number }}
{{- else if $suffix }}
  {{- range until (add1 (index (dict "k" 0 "M" 1 "G" 2 "T" 3 "P" 4 "E" 5) $suffix) | int) }}{{ $number = mulf $number 1000 }}{{ end }}
  {{- $number }}
{{- else }}{{ $number }}{{ end }}
{{- end }}
