{{- /* Settings of users for pods and containers. A key at the top of values.yaml is for all of them,
and the same key in a section for one: the section of a component, or `pod`, for the one pod of
topology pod. Each template takes a dict with root, component and key, where component is the
app.kubernetes.io/component of a pod or the name of a container. */ -}}

{{- /* The value of the section, if it has one, and otherwise that of the top: YAML, or nothing when
it is empty. */ -}}
{{- define "mail.replaced" -}}
{{- $section := get .root.Values .component | default dict }}
{{- $found := dict "it" (ternary (get $section .key) (get .root.Values .key) (hasKey $section .key) | deepCopy) }}
{{- include "mail.wholeNumbers" $found }}
{{- if or $found.it (kindIs "int64" $found.it) }}{{ toYaml $found.it }}{{ end }}
{{- end }}

{{- /* The value that only a section has: YAML or nothing. */ -}}
{{- define "mail.own" -}}
{{- $found := dict "it" (get (get .root.Values .component | default dict) .key | default dict | deepCopy) }}
{{- include "mail.wholeNumbers" $found }}
{{- with $found.it }}{{ toYaml . }}{{ end }}
{{- end }}

{{- /* The labels or annotations of the top with those of the section: YAML or nothing. */ -}}
{{- define "mail.merged" -}}
{{- $section := get .root.Values .component | default dict }}
{{- with mergeOverwrite (deepCopy (get .root.Values .key)) (deepCopy (get $section .key | default dict)) }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- /* The entries of the top and of all sections for this pod: YAML or nothing. */ -}}
{{- define "mail.added" -}}
{{- $root := .root }}
{{- $key := .key }}
{{- $found := get $root.Values $key }}
{{- $members := get (include "mail.podMembers" $root | fromYaml) .component | default list }}
{{- range prepend $members .component | uniq }}
  {{- $found = concat $found (get (get $root.Values . | default dict) $key | default list) }}
{{- end }}
{{- $found = dict "it" (uniq $found | deepCopy) }}
{{- include "mail.wholeNumbers" $found }}
{{- with $found.it }}{{ toYaml . }}{{ end }}
{{- end }}

{{- /* The entries of the top and of one container's section, which replaces those with the same name or
path: a dict with `it`, in YAML. */ -}}
{{- define "mail.addedHere" -}}
{{- $key := .key }}
{{- $own := get (get .root.Values .component | default dict) $key | default list }}
{{- $taken := list }}
{{- range $own }}{{ $taken = append $taken (.mountPath | default .name) }}{{ end }}
{{- $found := list }}
{{- range get .root.Values $key }}
  {{- $name := .mountPath | default .name }}
  {{- if or (not $name) (not (has $name $taken)) }}{{ $found = append $found . }}{{ end }}
{{- end }}
{{- $found = concat $found $own }}
{{- $names := list }}
{{- range $found }}
  {{- with .mountPath | default .name }}
    {{- if has . $names }}{{ fail (printf "%s has %s twice for %s." $key . $.component) }}{{ end }}
    {{- $names = append $names . }}
  {{- end }}
{{- end }}
{{- dict "it" $found | toYaml }}
{{- end }}

{{- /* The names of the Secrets that the volumes of the release mount: a dict with `it`, in YAML. */ -}}
{{- define "mail.mountedSecrets" -}}
{{- $root := . }}
{{- $found := list }}
{{- range $name, $_ := include "mail.components" . | fromYaml }}
  {{- range include (printf "mail.%s.volumes" $name) $root | fromYamlArray }}
    {{- with .secret }}{{ $found = append $found .secretName }}{{ end }}
    {{- range (.projected | default dict).sources }}
      {{- with .secret }}{{ $found = append $found .name }}{{ end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- dict "it" (uniq $found) | toYaml }}
{{- end }}

{{- /* The container of a component with the settings of users: dict root, component */ -}}
{{- define "mail.container" -}}
{{- $text := include (printf "mail.%s.container" .component) .root }}
{{- $env := (include "mail.addedHere" (merge (dict "key" "extraEnv") .) | fromYaml).it }}
{{- $from := (include "mail.addedHere" (merge (dict "key" "envFrom") .) | fromYaml).it }}
{{- $mounts := (include "mail.addedHere" (merge (dict "key" "extraVolumeMounts") .) | fromYaml).it }}
{{- $hostPorts := list }}
{{- if .root.Values.service.hostPorts }}
  {{- $hostPorts = (get (include "mail.components" .root | fromYaml) .component).frontPorts }}
{{- end }}
{{- if or $env $from $mounts $hostPorts }}
  {{- $container := fromYaml $text }}
  {{- with $container.Error }}{{ fail (printf "mail.%s.container is not YAML: %s" $.component .) }}{{ end }}
  {{- $secrets := (include "mail.mountedSecrets" .root | fromYaml).it }}
  {{- range $container.env }}
    {{- $name := .name }}
    {{- range $env }}
      {{- if eq .name $name }}
        {{- fail (printf "extraEnv has %s, which the chart sets for %s: use the chart's own values." $name $.component) }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- range $env }}
    {{- if regexMatch "^(POSTFIX|DOVECOT|VALKEY|WEBMAIL|RSPAMD|SPAM|CLAMAV|GATEPOST)_" .name }}
      {{- fail (printf "extraEnv has %s, a setting of the image: use the chart's own values, which are checked." .name) }}
    {{- end }}
  {{- end }}
  {{- include "mail.noSecrets" (dict "secrets" $secrets "key" "extraEnv" "env" $env) }}
  {{- include "mail.noSecrets" (dict "secrets" $secrets "key" "envFrom" "from" $from) }}
  {{- range $mounts }}
    {{- $path := .mountPath }}
    {{- range $container.volumeMounts }}
      {{- if eq .mountPath $path }}
        {{- fail (printf "extraVolumeMounts has %s, where the chart mounts a volume of %s already." $path $.component) }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- range $port := $container.ports }}
    {{- range $hostPorts }}
      {{- if eq .name $port.name }}{{ $_ := set $port "hostPort" .port }}{{ end }}
    {{- end }}
  {{- end }}
  {{- with $env }}{{ $_ := set $container "env" (concat ($container.env | default list) .) }}{{ end }}
  {{- with $from }}{{ $_ := set $container "envFrom" . }}{{ end }}
  {{- with $mounts }}{{ $_ := set $container "volumeMounts" (concat ($container.volumeMounts | default list) .) }}{{ end }}
  {{- include "mail.wholeNumbers" $container }}
  {{- toYaml $container }}
{{- else }}
  {{- $text }}
{{- end }}
{{- end }}

{{- /* Refuses the secrets of the mail system in an environment: dict secrets, key, env, from; renders
nothing. */ -}}
{{- define "mail.noSecrets" -}}
{{- $named := list }}
{{- range .env }}{{ $named = append $named (dig "valueFrom" "secretKeyRef" "name" "" .) }}{{ end }}
{{- range .from }}{{ $named = append $named (dig "secretRef" "name" "" .) }}{{ end }}
{{- range compact $named }}
  {{- if has . $.secrets }}
    {{- fail (printf "%s reads the Secret %s, which the chart mounts as files: its secrets do not belong in an environment." $.key .) }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Entries after those of the chart in the lists `containers` and `volumes` of a pod: dict root,
component */ -}}
{{- define "mail.sidecars" -}}
{{- include "mail.added" (merge (dict "key" "sidecars") .) }}
{{- end }}

{{- define "mail.extraVolumes" -}}
{{- include "mail.added" (merge (dict "key" "extraVolumes") .) }}
{{- end }}
