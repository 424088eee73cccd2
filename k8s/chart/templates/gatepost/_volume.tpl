{{- /* The configuration shared by Gatepost's daemons. */ -}}
{{- define "mail.gatepostVolume" -}}
- name: gatepost-config
  configMap: {name: {{ .Release.Name }}-gatepost}
{{- end }}
