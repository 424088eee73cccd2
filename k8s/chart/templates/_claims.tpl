{{- /* Claims of volumes. Each takes a dict with root and name, the key of its values in `persistence`. */ -}}

{{- /* The claim RELEASE-NAME: component, and keep, why it stays when the release is removed */ -}}
{{- define "mail.persistentClaim" -}}
{{- $claim := get .root.Values.persistence .name }}
{{- $object := dict "root" .root "component" .component "keep" .keep "annotations" $claim.annotations }}
{{- $_ := set $object "name" (printf "%s-%s" (include "mail.fullname" .root) .name) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "mail.metadata" $object | nindent 2 }}
spec:
  {{- include "mail.claim" . | nindent 2 }}
{{- end }}

{{- /* The claims that a StatefulSet makes, one for each pod: volume. Nothing with existingClaim. */ -}}
{{- define "mail.claimTemplates" -}}
{{- $claim := get .root.Values.persistence .name }}
{{- if not $claim.existingClaim }}
volumeClaimTemplates:
  {{- if $claim.annotations }}
  - metadata:
      name: {{ .volume }}
      annotations:
        {{- toYaml $claim.annotations | nindent 8 }}
  {{- else }}
  - metadata: {name: {{ .volume }}}
  {{- end }}
    spec:
      {{- include "mail.claim" . | nindent 6 }}
{{- end }}
{{- end }}

{{- /* The volume of a StatefulSet with existingClaim: volume. */ -}}
{{- define "mail.existingVolume" -}}
{{- with (get .root.Values.persistence .name).existingClaim }}
- name: {{ $.volume }}
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end }}

{{- /* The spec of a claim. */ -}}
{{- define "mail.claim" -}}
{{- $claim := get .root.Values.persistence .name -}}
accessModes: [{{ join ", " $claim.accessModes }}]
{{- with $claim.storageClass | default .root.Values.persistence.storageClass | default .root.Values.global.storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ $claim.size }}
{{- end }}
