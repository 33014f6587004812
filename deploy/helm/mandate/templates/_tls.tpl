{{/* Name of the Secret with the server's certificate, empty if there is none. */}}
{{- define "mandate.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{- include "mandate.fullname" . }}-tls
{{- else -}}
{{- .Values.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret by which followers show themselves to the primary. */}}
{{- define "mandate.followSecret" -}}
{{- default (printf "%s-follower-tls" (include "mandate.fullname" .)) .Values.followers.existingSecret -}}
{{- end -}}

{{/* Whether gRPC and AuthZEN speak TLS. */}}
{{- define "mandate.secured" -}}
{{- if or (include "mandate.tlsSecret" .) .Values.tls.spiffe.enabled -}}secured{{- end -}}
{{- end -}}

{{/* The names that clients in the cluster call the server by. */}}
{{- define "mandate.dnsNames" -}}
{{- $names := .Values.tls.certManager.dnsNames -}}
{{- $root := . -}}
{{- $services := list "" "-headless" -}}
{{- if .Values.control.enabled -}}{{- $services = append $services "-control" -}}{{- end -}}
{{- range $ending := $services -}}
{{- $service := printf "%s%s.%s.svc" (include "mandate.fullname" $root) $ending $root.Release.Namespace -}}
{{- $names = concat $names (list (printf "%s%s" (include "mandate.fullname" $root) $ending) $service (printf "%s.%s" $service $root.Values.clusterDomain)) -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}
