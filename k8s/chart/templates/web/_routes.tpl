{{- /* The ways of browsers and mail programs to the Services with HTTP, for the Ingress and the HTTPRoutes:
a list of name (of the Service, RELEASE-NAME), route (of the object), hosts, and paths (Exact or Prefix). */ -}}
{{- define "mail.web.routes" -}}
{{- $v := .Values }}
{{- $routes := list }}
{{- if include "mail.webmail" . }}
  {{- $path := dict "type" "Prefix" "path" (trimSuffix "/" $v.webmail.prefix | default "/") }}
  {{- $routes = append $routes (dict "name" "webmail" "route" "webmail" "hosts" ($v.web.webmail | default (list (lower $v.mail.hostname))) "paths" (list $path)) }}
{{- end }}
{{- if and (include "mail.mailboxes" .) $v.web.accounts }}
  {{- $routes = append $routes (dict "name" "accounts" "route" "accounts" "hosts" $v.web.accounts "paths" (list (dict "type" "Prefix" "path" "/"))) }}
{{- end }}
{{- if and (include "mail.mailboxes" .) $v.web.autoconfig }}
  {{- $paths := list }}
  {{- /* An Ingress knows upper from lower case, and programs do not agree. */}}
  {{- range list "/mail/config-v1.1.xml" "/.well-known/autoconfig/mail/config-v1.1.xml" "/autodiscover/autodiscover.xml" "/Autodiscover/Autodiscover.xml" "/AutoDiscover/AutoDiscover.xml" "/email.mobileconfig" }}
    {{- $paths = append $paths (dict "type" "Exact" "path" .) }}
  {{- end }}
  {{- $routes = append $routes (dict "name" "accounts" "route" "autoconfig" "hosts" $v.web.autoconfig "paths" $paths) }}
{{- end }}
{{- toYaml $routes }}
{{- end }}

{{- /* All names of these routes, in YAML. */ -}}
{{- define "mail.web.hosts" -}}
{{- $hosts := list }}
{{- range include "mail.web.routes" . | fromYamlArray }}{{ $hosts = concat $hosts .hosts }}{{ end }}
{{- uniq $hosts | toYaml }}
{{- end }}
