{{- define "mail.postfixwatch.container" -}}
name: postfixwatch
image: {{ include "mail.image" (dict "root" . "name" "gatepost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
args:
  - postfix-watch
  - --accounts=unix:/run/gatepost/snapshots
  - --showq=/var/spool/postfix/queue/public/showq
  - --log=/var/log/postfix/mail.log
  - --place=/tmp/place
securityContext:
  {{- include "mail.restricted" . | nindent 2 }}
  # postdrop, the group that may list the queue
  runAsGroup: 10026
resources:
  {{- toYaml .Values.postfixwatch.resources | nindent 2 }}
{{ include "mail.probes" (list "gatepost" "postfix-watch" "--check" "--place=/tmp/place") }}
volumeMounts:
  - {name: sockets, mountPath: /run/gatepost}
  - {name: queue, mountPath: /var/spool/postfix, readOnly: true}
  - {name: postfix-log, mountPath: /var/log/postfix, readOnly: true}
  # it survives a restart of the container
  - {name: tmp-postfixwatch, mountPath: /tmp}
{{- end }}

{{- define "mail.postfixwatch.volumes" -}}
- name: tmp-postfixwatch
  emptyDir: {}
{{- end }}
