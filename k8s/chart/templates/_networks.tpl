{{- /* Sizes and overlaps of networks. */ -}}

{{- /* The bits of a network's address, 32 or 128 characters, such as 00001010... */ -}}
{{- define "mail.bits" -}}
{{- $address := first (splitList "/" .) }}
{{- if contains ":" $address }}
  {{- /* An IPv4 address at the end is two groups. */}}
  {{- $dotted := regexFind "[0-9]+\\.[0-9.]+$" $address }}
  {{- if $dotted }}
    {{- $octets := splitList "." $dotted }}
    {{- $groups := printf "%02x%02x:%02x%02x" (index $octets 0 | int) (index $octets 1 | int) (index $octets 2 | int) (index $octets 3 | int) }}
    {{- $address = printf "%s%s" (trimSuffix $dotted $address) $groups }}
  {{- end }}
  {{- $halves := splitList "::" $address }}
  {{- $front := without (splitList ":" (first $halves)) "" }}
  {{- $back := list }}
  {{- if gt (len $halves) 1 }}{{ $back = without (splitList ":" (last $halves)) "" }}{{ end }}
  {{- range $front }}{{ printf "%016b" (int64 (printf "0x%s" .)) }}{{ end }}
  {{- range until (sub 8 (add (len $front) (len $back)) | max 0 | int) }}{{ repeat 16 "0" }}{{ end }}
  {{- range $back }}{{ printf "%016b" (int64 (printf "0x%s" .)) }}{{ end }}
{{- else }}
  {{- range splitList "." $address }}{{ printf "%08b" (int .) }}{{ end }}
{{- end }}
{{- end }}

{{- /* Whether two networks overlap: dict a, b; yes or nothing. */ -}}
{{- define "mail.overlap" -}}
{{- $a := include "mail.bits" .a }}
{{- $b := include "mail.bits" .b }}
{{- $shorter := min (last (splitList "/" .a)) (last (splitList "/" .b)) | int }}
{{- if and (eq (len $a) (len $b)) (eq (trunc $shorter $a) (trunc $shorter $b)) }}yes{{ end }}
{{- end }}

{{- /* An error if the address of a network has bits behind its prefix: dict network, key. */ -}}
{{- define "mail.wholeNetwork" -}}
{{- $bits := include "mail.bits" .network }}
{{- $prefix := last (splitList "/" .network) | int }}
{{- if contains "1" (substr $prefix (len $bits) $bits) }}
  {{- fail (printf "%s in %s is an address inside a network: write the first address of the network, or /%d for this address alone." .network .key (len $bits)) }}
{{- end }}
{{- end }}

{{- /* The same for networks of Kubernetes, which takes no IPv4 addresses in the form of IPv6: dict
network, key. */ -}}
{{- define "mail.clusterNetwork" -}}
{{- include "mail.wholeNetwork" . }}
{{- $mapped := printf "%s%s" (repeat 80 "0") (repeat 16 "1") }}
{{- if and (contains ":" .network) (or (contains "." .network) (hasPrefix $mapped (include "mail.bits" .network))) }}
  {{- fail (printf "%s in %s is an IPv4 network in the form of IPv6: write it as IPv4." .network .key) }}
{{- end }}
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
