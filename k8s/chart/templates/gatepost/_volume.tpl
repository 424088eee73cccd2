{{- /* The configuration that the daemons of Gatepost share. */ -}}
{{- define "mail.gatepostVolume" -}}
- name: gatepost-config
  configMap: {name: {{ .Release.Name }}-gatepost}
{{- end }}
