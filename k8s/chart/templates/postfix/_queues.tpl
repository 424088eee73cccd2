{{- /* The claims of queues. */ -}}

{{- /* The name of a queue's claim: dict root, number. A StatefulSet looks for it by this name; the one pod
has that of number 0. */ -}}
{{- define "mail.queueClaim" -}}
queue-{{ include "mail.fullname" .root }}-postfix-{{ .number }}
{{- end }}

{{- /* How many claims of queues the values need. */ -}}
{{- define "mail.queues" -}}
{{- if .Values.persistence.queue.existingClaim }}0
{{- else if eq .Values.topology "pod" }}1
{{- else }}{{ int .Values.postfix.replicas }}{{ end }}
{{- end }}

{{- /* The numbers of the queues in the cluster that the values need no more, as a YAML list: their mail is
still to be delivered. */ -}}
{{- define "mail.leftQueues" -}}
{{- $root := . }}
{{- $left := list }}
{{- $needed := include "mail.queues" . | int }}
{{- range (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "" | default dict).items }}
  {{- $number := regexFind "^[0-9]+$" (trimPrefix (printf "queue-%s-postfix-" (include "mail.fullname" $root)) .metadata.name) }}
  {{- if and $number (ge (int $number) $needed) (not .metadata.deletionTimestamp) }}
    {{- if not (include "mail.emptied" (dict "root" $root "name" .metadata.name)) }}{{ $left = append $left (int $number) }}{{ end }}
  {{- end }}
{{- end }}
{{- toYaml $left }}
{{- end }}
