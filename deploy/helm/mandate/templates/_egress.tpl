{{/* Ports that the configuration sends the server's pods to, as JSON: a network policy knows addresses, and the configuration names. */}}
{{- define "mandate.outboundPorts" -}}
{{- $config := .Values.config -}}
{{- $urls := list -}}
{{- range concat (default (list) $config.issuers) .Values.callers.issuers -}}
{{- with .jwks_url -}}{{- $urls = append $urls (list . 443) -}}{{- end -}}
{{- end -}}
{{- with $config.log -}}
{{- range .sinks -}}
{{- with . -}}
{{- with .url -}}{{- $urls = append $urls (list . 443) -}}{{- end -}}
{{- range .servers -}}{{- $urls = append $urls (list . 4222) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range .witnesses -}}
{{- with .url -}}{{- $urls = append $urls (list . 443) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- with $config.telemetry -}}
{{- range list .traces .metrics -}}
{{- with . -}}{{- $urls = append $urls (list .url 443) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq (include "mandate.origin" .) "git" -}}
{{- $urls = append $urls (list .Values.sources.git.repository (include "mandate.gitSsh" . | empty | ternary 443 22)) -}}
{{- end -}}
{{- $ports := list -}}
{{- range $urls -}}
{{- $port := include "mandate.port" . | int -}}
{{- $ports = append $ports $port -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* The port of a URL; `git@host:path` has none. Takes a list: the URL, and the port that it means without one. */}}
{{- define "mandate.port" -}}
{{- $url := index . 0 -}}
{{- $port := index . 1 -}}
{{- if hasPrefix "http://" $url -}}{{- $port = 80 -}}{{- end -}}
{{- $found := regexFind "^[a-z+]+://[^/]*:[0-9]+" $url | splitList ":" -}}
{{- if gt (len $found) 2 -}}{{- $port = last $found -}}{{- end -}}
{{- $port -}}
{{- end -}}
