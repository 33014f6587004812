{{/* mandate.toml */}}
{{- define "mandate.toml" -}}
[sources]
policies = {{ include "mandate.folder" (list . "policies") | quote }}
schemas = {{ include "mandate.folder" (list . "schemas") | quote }}
entities = {{ include "mandate.folder" (list . "entities") | quote }}
emergency = "/etc/mandate/emergency"
{{- if include "mandate.authenticated" . }}
pep = "/etc/mandate/pep"
{{- end }}
{{- include "mandate.tomlEntries" .Values.config.sources }}

[data]
directory = "/var/lib/mandate/data"

[listen]
data = "0.0.0.0:4466"
http = "0.0.0.0:4467"
ops = "0.0.0.0:4468"
control = "127.0.0.1:4469"
{{- if .Values.tls.existingSecret }}

[tls]
certificate = "/etc/mandate/tls/tls.crt"
key = "/etc/mandate/tls/tls.key"
{{- end }}
{{- range .Values.callers.spiffe }}

[[callers.spiffe]]
trust_domain = {{ .trustDomain | quote }}
bundle = {{ printf "/etc/mandate/bundles/%s/%s" .trustDomain .key | quote }}
{{- end }}
{{- range .Values.callers.self }}

[[callers.self]]
{{- include "mandate.tomlEntries" . }}
{{- end }}
{{- range $section, $entries := omit .Values.config "sources" }}
{{- if $entries }}

[{{ $section }}]
{{- include "mandate.tomlEntries" $entries }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mandate.tomlEntries" -}}
{{- range $name, $value := . }}
{{ $name }} = {{ include "mandate.tomlValue" $value }}
{{- end }}
{{- end -}}

{{/* JSON's strings, numbers and booleans are TOML's too. */}}
{{- define "mandate.tomlValue" -}}
{{- $values := list -}}
{{- if kindIs "map" . -}}
{{- range $name, $value := . -}}
{{- $values = append $values (printf "%s = %s" ($name | quote) (include "mandate.tomlValue" $value)) -}}
{{- end -}}
{ {{- join ", " $values -}} }
{{- else if kindIs "slice" . -}}
{{- range . -}}
{{- $values = append $values (include "mandate.tomlValue" .) -}}
{{- end -}}
[ {{- join ", " $values -}} ]
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* Seconds of a duration as the schema lets it be written: `20s`. */}}
{{- define "mandate.terminationSeconds" -}}
{{- $shutdown := .Values.config.shutdown -}}
{{- add (trimSuffix "s" $shutdown.grace | int) (trimSuffix "s" $shutdown.drain | int) 20 -}}
{{- end -}}
