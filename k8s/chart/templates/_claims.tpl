{{- /* Claims. Helm creates all of them, those of a StatefulSet, too, by the names that it looks for. So both
topologies have the same claims, and their size can grow. */ -}}

{{- /* What Helm does with a claim that it no longer needs. */ -}}
{{- define "mail.keep" -}}
{{- ternary "keep" "delete" .Values.persistence.keep }}
{{- end }}

{{- /* The claim of this name in the cluster, as YAML: dict root, name. */ -}}
{{- define "mail.liveClaim" -}}
{{- lookup "v1" "PersistentVolumeClaim" .root.Release.Namespace .name | default dict | toYaml }}
{{- end }}

{{- /* The claim RELEASE-KEY: root, key (of persistence), component, keep (why it stays) */ -}}
{{- define "mail.persistentClaim" -}}
{{- $name := printf "%s-%s" (include "mail.fullname" .root) .key }}
{{- $annotations := (get .root.Values.persistence .key).annotations -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "mail.metadata" (merge (dict "name" $name "annotations" $annotations "policy" (ternary (include "mail.keep" .root) "" (not (empty .keep)))) .) | nindent 2 }}
spec:
  {{- include "mail.claim" (merge (dict "name" $name) .) | nindent 2 }}
{{- end }}

{{- /* The spec of a claim: root, key (of persistence); name if it may exist already. A claim keeps its class
and cannot shrink. */ -}}
{{- define "mail.claim" -}}
{{- $claim := get .root.Values.persistence .key }}
{{- $class := $claim.storageClass | default .root.Values.persistence.storageClass | default .root.Values.global.storageClass }}
{{- if .name }}
  {{- $spec := (include "mail.liveClaim" . | fromYaml).spec | default dict }}
  {{- $class = $spec.storageClassName | default $class }}
  {{- $live := (($spec.resources | default dict).requests | default dict).storage }}
  {{- if $live }}
    {{- if gt (include "mail.quantity" $live | float64) (include "mail.quantity" $claim.size | float64) }}
      {{- fail (printf "the claim %s has %s, and a claim cannot shrink: set persistence.%s.size to at least that." .name $live .key) }}
    {{- end }}
  {{- end }}
{{- end -}}
accessModes: [{{ join ", " $claim.accessModes }}]
{{- with $class }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ $claim.size }}
{{- end }}

{{- /* The claim of a StatefulSet's pod: root, name, component, key (of persistence). A claim that Helm did
not create, such as that of an older release or of `kubectl scale`, stays as it is. */ -}}
{{- define "mail.podClaim" -}}
{{- $size := (index .root.Values.persistence .key).size }}
{{- $live := include "mail.liveClaim" . | fromYaml }}
{{- $owner := get (($live.metadata | default dict).annotations | default dict) "meta.helm.sh/release-name" }}
{{- if and $live (ne $owner .root.Release.Name) }}
  {{- $spec := include "mail.claim" . }}
  {{- if gt (include "mail.quantity" $size | float64) (include "mail.quantity" $live.spec.resources.requests.storage | float64) }}
    {{- fail (printf "the claim %s does not belong to this release, which cannot enlarge it. Run this first: kubectl -n %s patch pvc %s -p '{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"%s\"}}}}'" .name .root.Release.Namespace .name $size) }}
  {{- end }}
{{- else }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- $annotations := (get .root.Values.persistence .key).annotations }}
  {{- include "mail.metadata" (merge (dict "annotations" $annotations "policy" (include "mail.keep" .root)) .) | nindent 2 }}
spec:
  {{- include "mail.claim" . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* An item of volumeClaimTemplates: root, component, volume, key. Kubernetes lets nobody change it, so it
stays as it is in the cluster; it only counts for pods of which Helm made no claim. */ -}}
{{- define "mail.claimTemplate" -}}
{{- $volume := .volume }}
{{- $spec := include "mail.claim" (dict "root" .root "key" .key) | fromYaml }}
{{- $live := lookup "apps/v1" "StatefulSet" .root.Release.Namespace (printf "%s-%s" (include "mail.fullname" .root) .component) | default dict }}
{{- range ($live.spec | default dict).volumeClaimTemplates }}
  {{- if eq .metadata.name $volume }}{{ $spec = pick .spec "accessModes" "storageClassName" "resources" "volumeMode" }}{{ end }}
{{- end -}}
- metadata: {name: {{ $volume }}}
  spec:
    {{- toYaml $spec | nindent 4 }}
{{- end }}

{{- /* An error if a workload in the cluster uses a claim that these values know no more: root, kind, name.
What is in it, such as mail that was taken, would wait there for ever. */ -}}
{{- define "mail.leavesNoClaim" -}}
{{- $root := .root }}
{{- $known := list (include "mail.queueClaim" (dict "root" $root "number" 0)) }}
{{- range $key, $claim := $root.Values.persistence }}
  {{- if kindIs "map" $claim }}
    {{- if hasKey $claim "existingClaim" }}
      {{- $own := ternary (first $known) (printf "%s-%s" (include "mail.fullname" $root) $key) (eq $key "queue") }}
      {{- $known = append $known ($claim.existingClaim | default $own) }}
      {{- if and (eq $key "queue") $claim.existingClaim }}{{ $known = rest $known }}{{ end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $live := lookup "apps/v1" .kind $root.Release.Namespace .name | default dict }}
{{- range (((($live.spec | default dict).template | default dict).spec | default dict).volumes) }}
  {{- with .persistentVolumeClaim }}
    {{- if and (not (has .claimName $known)) (not (include "mail.emptied" (dict "root" $root "name" .claimName))) }}
      {{- fail (printf "the claim %s is in use, and with these values it would not be: what is in it would stay behind. Name it as existingClaim in persistence. If you have copied what is in it, say so: kubectl -n %s annotate pvc %s gatepost/emptied=true" .claimName $root.Release.Namespace .claimName) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Whether a claim has gone, or an administrator says that nothing in it is needed: dict root, name; yes
or nothing. */ -}}
{{- define "mail.emptied" -}}
{{- $live := include "mail.liveClaim" . | fromYaml }}
{{- if or (not $live) (eq (get (($live.metadata).annotations | default dict) "gatepost/emptied") "true") }}yes{{ end }}
{{- end }}
