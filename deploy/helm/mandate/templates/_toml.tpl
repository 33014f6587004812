{{/* mandate.toml. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.toml" -}}
{{- $root := index . 0 -}}{{- $role := index . 1 -}}
{{- $values := $root.Values -}}
{{- if eq $role "follower" -}}
[follow]
primary = {{ printf "https://%s-control.%s.svc:%d" (include "mandate.fullname" $root) $root.Release.Namespace (int $values.control.port) | quote }}
ca_file = "/etc/mandate/follow/ca.crt"
certificate = "/etc/mandate/follow/tls.crt"
key = "/etc/mandate/follow/tls.key"

[sources]
pep = "/etc/mandate/pep"
{{- else -}}
[sources]
policies = {{ include "mandate.folder" (list $root "policies") | quote }}
schemas = {{ include "mandate.folder" (list $root "schemas") | quote }}
entities = {{ include "mandate.folder" (list $root "entities") | quote }}
emergency = "/etc/mandate/emergency"
{{- if include "mandate.revocationsName" $root }}
revocations = "/etc/mandate/revocations/revocations.json"
{{- else if include "mandate.oneVolume" $root }}
revocations = {{ printf "%s/revocations.json" (include "mandate.volumeFolder" $root) | quote }}
{{- end }}
{{- if include "mandate.authenticated" $root }}
pep = "/etc/mandate/pep"
{{- end }}
{{- include "mandate.tomlEntries" $values.config.sources }}
{{- end }}

[data]
directory = "/var/lib/mandate/data"

[listen]
data = "0.0.0.0:4466"
http = "0.0.0.0:4467"
ops = "0.0.0.0:4468"
control = {{ and $values.control.enabled (eq $role "server") | ternary "0.0.0.0:4469" "127.0.0.1:4469" | quote }}
{{- if include "mandate.tlsSecret" $root }}

[tls]
certificate = "/etc/mandate/tls/tls.crt"
key = "/etc/mandate/tls/tls.key"
{{- else if $values.tls.spiffe.enabled }}

[tls]
workload_api = {{ printf "unix:///spiffe-workload-api/%s" $values.tls.spiffe.socket | quote }}
{{- end }}
{{- range $values.callers.spiffe }}

[[callers.spiffe]]
trust_domain = {{ .trustDomain | quote }}
{{- if .existingConfigMap }}
bundle = {{ printf "/etc/mandate/bundles/%s/%s" .trustDomain .key | quote }}
{{- end }}
{{- end }}
{{- range $name := list "issuers" "self" }}
{{- range get $values.callers $name }}

[[callers.{{ $name }}]]
{{- include "mandate.tomlEntries" . }}
{{- end }}
{{- end }}
{{- if and $values.control.enabled (eq $role "server") }}

[control]
callers = true
{{- end }}
{{- if and $values.followers.enabled (eq $role "server") }}

[followers]
lease = {{ $values.followers.lease | quote }}
{{- end }}
{{- range $section, $entries := omit $values.config "sources" }}
{{- if kindIs "slice" $entries }}
{{- range $entries }}

[[{{ $section }}]]
{{- include "mandate.tomlEntries" . }}
{{- end }}
{{- else if $entries }}

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
