{{- /* The watch of Postfix: its queue in the overview, its log in the trace of accounts. */ -}}
{{- define "mail.postfixwatch.component" -}}
runs: {{ include "mail.mailboxes" $ | empty | not }}
sharesPod: true
podVolumes: |
  - name: postfix-log
    emptyDir: {}
{{- end }}
