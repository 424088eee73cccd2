{{- define "mail.postfix.component" -}}
{{- /* Postfix delivers to the Internet and to the next hop, and queries the authentication service. */}}
{{- $out := list 25 465 587 }}
{{- $nextHop := ternary "" .Values.mail.nextHop (include "mail.mailboxes" $ | empty | not) }}
{{- range list $nextHop .Values.postfix.sasl }}
  {{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" .) }}
  {{- if $port }}{{ $out = append $out (int $port) }}{{ end }}
{{- end }}
{{- if and (hasPrefix "lmtp:" $nextHop) (not (regexMatch ":[0-9]+$" $nextHop)) }}{{ $out = append $out 24 }}{{ end }}
{{- $pods := .Values.networkPolicy.extraEgressPorts }}
{{- if $nextHop }}{{ $pods = concat $pods .Values.networkPolicy.nextHopPorts }}{{ end }}
{{- if .Values.postfix.sasl }}{{ $pods = concat $pods .Values.networkPolicy.saslPorts }}{{ end }}
{{- range $pods }}{{ $out = append $out (int .) }}{{ end }}
{{- /* Postfix has to be stopped and started when these change (postconf(5)). */}}
{{- $fixed := list }}
{{- range $name, $text := .Values.postfix.files }}
  {{- if hasSuffix ".cf" $name }}{{ $fixed = concat $fixed (regexFindAll "(?m)^inet_(?:interfaces|protocols)[ \t]*=.*$" $text -1) }}{{ end }}
{{- end }}
{{- with $fixed }}
readAtStart: {{ join "; " . | toJson }}
{{- end }}
sharesPod: true
dns: true
frontPorts: {{ include "mail.postfix.frontPorts" . | fromYamlArray | toJson }}
ingress:
  - ports:
      - port: 25
      {{- if include "mail.submission" . }}
      - port: 465
      - port: 587
      {{- end }}
  {{- if .Values.postfix.proxy }}
  - from:
      {{- range .Values.mail.proxyNetworks }}
      - ipBlock: {cidr: {{ . | quote }}}
      {{- end }}
    ports:
      - port: 12525
      {{- if include "mail.submission" . }}
      - port: 10465
      - port: 10587
      {{- end }}
  {{- end }}
egress:
  - ports:
      {{- range uniq $out }}
      - port: {{ . }}
      {{- end }}
reaches:
  - {component: milters, ports: [8891]}
  - {component: policyd, ports: [10023]}
podVolumes: |
  - name: queue
    persistentVolumeClaim: {claimName: {{ .Values.persistence.queue.existingClaim | default (include "mail.queueClaim" (dict "root" . "number" 0)) }}}
{{- end }}

{{- /* Whether submission can open: yes or nothing. */ -}}
{{- define "mail.submission" -}}
{{- if or .Values.postfix.sasl (include "mail.mailboxes" $) }}yes{{ end }}
{{- end }}

{{- /* The next hop of mail for the domains. */ -}}
{{- define "mail.nextHop" -}}
{{- if include "mail.delivers" $ }}lmtp:inet:127.0.0.1:10028
{{- else if include "mail.mailboxes" $ }}lmtp:inet:127.0.0.1:10024
{{- else }}{{ .Values.mail.nextHop }}{{ end }}
{{- end }}

{{- /* The name of the Secret with the certificate; empty: none. */ -}}
{{- define "mail.tlsSecret" -}}
{{- ternary (printf "%s-demo-tls" (include "mail.fullname" .)) .Values.tls.secret .Values.demo }}
{{- end }}

{{- /* The ports of the Service for clients: name, port, and the container's port with PROXY protocol. */ -}}
{{- define "mail.postfix.frontPorts" -}}
- {name: smtp, port: 25, proxied: smtp-proxy}
{{- if include "mail.submission" . }}
- {name: submissions, port: 465, proxied: submissions-px}
- {name: submission, port: 587, proxied: submission-px}
{{- end }}
{{- end }}
