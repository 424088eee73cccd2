{{- /* The configuration shared by Gatepost's daemons. */ -}}
{{- define "mail.gatepostVolume" -}}
- name: gatepost-config
  configMap: {name: {{ include "mail.fullname" . }}-gatepost}
{{- end }}
