{{- /* gatepost.toml, as YAML. A component with a key in `config` has a section there: the user's values,
overridden by those of mail.NAME.config. */ -}}
{{- define "mail.gatepostConfig" -}}
{{- $root := . }}
{{- $v := .Values }}
{{- $config := dict
  "hostname" $v.mail.hostname
  "proxy_networks" $v.mail.proxyNetworks
  "log" (mergeOverwrite (dict "format" "json") (deepCopy $v.config.log)) }}
{{- range $name, $_ := include "mail.components" . | fromYaml }}
  {{- if hasKey $v.config $name }}
    {{- $decided := include (printf "mail.%s.config" $name) $root | fromYaml }}
    {{- $_ := set $config $name (mergeOverwrite (deepCopy (index $v.config $name)) $decided) }}
  {{- end }}
{{- end }}
{{- if $v.config.dns }}
  {{- $_ := set $config "dns" (deepCopy $v.config.dns) }}
{{- end }}
{{- if $v.backup.enabled }}
  {{- $backup := dict "files" (list "/tls") }}
  {{- if $v.webmail.enabled }}
    {{- $_ := set $backup "webmail" "/var/lib/webmail/webmail.sqlite" }}
  {{- end }}
  {{- $_ := set $config "backup" $backup }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- /* The settings of a pod that its programs read only at the start, as YAML: dict root, component.
at-start.yaml has the keys of gatepost.toml; a component may have others in `readAtStart`. */ -}}
{{- define "mail.readAtStart" -}}
{{- $known := .root.Files.Get "at-start.yaml" | fromYaml }}
{{- $config := include "mail.gatepostConfig" .root | fromYaml }}
{{- $components := include "mail.components" .root | fromYaml }}
{{- $found := dict }}
{{- $sections := list }}
{{- range get (include "mail.podMembers" .root | fromYaml) .component | default list }}
  {{- if hasKey $config . }}{{ $sections = concat $sections (list "log" .) | uniq }}{{ end }}
  {{- with (index $components .).readAtStart }}{{ $_ := set $found "" (append (get $found "" | default list) .) }}{{ end }}
{{- end }}
{{- range $section := $sections }}
  {{- range $key := get $known $section | default list }}
    {{- $value := get $config $section }}
    {{- range splitList "." $key }}
      {{- $value = ternary (get ($value | default dict) .) nil (kindIs "map" $value) }}
    {{- end }}
    {{- if not (kindIs "invalid" $value) }}{{ $_ := set $found (printf "%s.%s" $section $key) $value }}{{ end }}
  {{- end }}
{{- end }}
{{- with $found }}{{ toYaml . }}{{ end }}
{{- end }}
