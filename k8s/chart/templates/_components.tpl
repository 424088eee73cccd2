{{- /* Components of this release. There is no list of them: a component is a section of values.yaml
with `resources`, and a folder of templates with its name. docs/kubernetes.md describes the templates
in such a folder. */ -}}

{{- /* The components that run, by name: the declarations in mail.NAME.component, and `pod`, the
app.kubernetes.io/component of its pod. */ -}}
{{- define "mail.components" -}}
{{- $root := . }}
{{- $found := dict }}
{{- range $name, $section := .Values }}
  {{- if and (kindIs "map" $section) (hasKey ($section | default dict) "resources") }}
    {{- $declared := include (printf "mail.%s.component" $name) $root | fromYaml }}
    {{- with $declared.Error }}{{ fail (printf "mail.%s.component is not YAML: %s" $name .) }}{{ end }}
    {{- $shared := and $declared.sharesPod (eq $root.Values.topology "pod") }}
    {{- $_ := set $declared "pod" (ternary "pod" $name (default false $shared)) }}
    {{- if ne (get $declared "runs" | toString) "false" }}{{ $_ := set $found $name $declared }}{{ end }}
  {{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{- /* The names of the components in each pod: app.kubernetes.io/component to a list. */ -}}
{{- define "mail.podMembers" -}}
{{- $members := dict }}
{{- range $name, $component := include "mail.components" . | fromYaml }}
  {{- $_ := set $members $component.pod (append (get $members $component.pod | default list) $name) }}
{{- end }}
{{- toYaml $members }}
{{- end }}

{{- /* The app.kubernetes.io/component of the pod in which a component runs: dict root, component */ -}}
{{- define "mail.podOf" -}}
{{- get (index (include "mail.components" .root | fromYaml) .component) "pod" }}
{{- end }}
