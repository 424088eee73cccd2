{{- /* Sizes and overlaps of networks. */ -}}

{{- /* Whether two IPv4 networks overlap: dict a, b; yes or nothing. IPv6 networks only overlap if
they are spelled the same. */ -}}
{{- define "mail.overlap" -}}
{{- $size := include "mail.power" (sub 32 (min (last (splitList "/" .a)) (last (splitList "/" .b)))) | int64 }}
{{- $blocks := list }}
{{- range list .a .b }}
  {{- $number := 0 }}
  {{- range splitList "." (first (splitList "/" .)) }}{{ $number = add (mul $number 256) . }}{{ end }}
  {{- $blocks = append $blocks (div $number $size) }}
{{- end }}
{{- if or (eq .a .b) (and (not (contains ":" (cat .a .b))) (eq (first $blocks) (last $blocks))) }}yes{{ end }}
{{- end }}

{{- /* Two to the power of a number; 1 for a negative number. */ -}}
{{- define "mail.power" -}}
{{- $power := 1 }}
{{- range until (max 0 . | int) }}{{ $power = mul $power 2 }}{{ end }}
{{- $power }}
{{- end }}

{{- /* The family (IPv4, IPv6 or nothing) in which a list of networks covers more than a sixteenth of
the public addresses, which is more than anybody owns. Gatepost's configuration has the same rule,
but here nested networks count twice. */ -}}
{{- define "mail.internet" -}}
{{- $private := list "0.0.0.0/8" "10.0.0.0/8" "100.64.0.0/10" "127.0.0.0/8" "169.254.0.0/16" "172.16.0.0/12" "192.168.0.0/16" "198.18.0.0/15" "224.0.0.0/3" }}
{{- $four := 0 }}
{{- $six := 0 }}
{{- range $network := uniq . }}
  {{- $prefix := last (splitList "/" $network) | int }}
  {{- if not (contains ":" $network) }}
    {{- $public := true }}
    {{- range $private }}
      {{- if and (ge $prefix (last (splitList "/" .) | int)) (include "mail.overlap" (dict "a" $network "b" .)) }}{{ $public = false }}{{ end }}
    {{- end }}
    {{- if $public }}{{ $four = add $four (include "mail.power" (sub 32 $prefix)) }}{{ end }}
  {{- else if and (ge $prefix 96) (regexMatch "(?i)^(0*:){1,5}:?ffff:" $network) }}
    {{- /* IPv4, mapped into IPv6 */}}
    {{- $four = add $four (include "mail.power" (sub 128 $prefix)) }}
  {{- else if or (lt $prefix 3) (regexMatch "(?i)^[23][0-9a-f]{3}:" $network) }}
    {{- /* of 2000::/3, in networks of 48 bits */}}
    {{- if le $prefix 48 }}{{ $six = add $six (include "mail.power" (sub 48 $prefix)) }}{{ end }}
  {{- end }}
{{- end }}
{{- if gt (mul $four 16) 3702259712 }}IPv4{{ else if gt $six 2199023255552 }}IPv6{{ end }}
{{- end }}
