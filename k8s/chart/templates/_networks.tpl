{{- /* Whether two networks of IPv4 have an address in common: dict a, b; yes or nothing. IPv6 only
when they are written alike. */ -}}
{{- define "mail.overlap" -}}
{{- $size := 1 }}
{{- range until (int (sub 32 (min (last (splitList "/" .a)) (last (splitList "/" .b))))) }}{{ $size = mul $size 2 }}{{ end }}
{{- $blocks := list }}
{{- range list .a .b }}
  {{- $number := 0 }}
  {{- range splitList "." (first (splitList "/" .)) }}{{ $number = add (mul $number 256) . }}{{ end }}
  {{- $blocks = append $blocks (div $number $size) }}
{{- end }}
{{- if or (eq .a .b) (and (not (contains ":" (cat .a .b))) (eq (first $blocks) (last $blocks))) }}yes{{ end }}
{{- end }}
