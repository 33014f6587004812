{{/* What cannot work is refused before anything is installed. */}}
{{- define "mandate.checks" -}}
{{- $callers := .Values.callers -}}
{{- $policies := include "mandate.given" $callers.policies -}}
{{- if not (or .Values.insecureUnauthenticatedCallers $callers.spiffe) -}}
{{- fail "insecureUnauthenticatedCallers is false and callers.spiffe is empty: nobody could ask. Give tls.existingSecret, callers.spiffe and callers.policies, or set it to true and keep networkPolicy on so that only your enforcement points reach the server" -}}
{{- end -}}
{{- if and .Values.insecureUnauthenticatedCallers $callers.spiffe -}}
{{- fail "callers.spiffe is given and insecureUnauthenticatedCallers is true: set it to false, for callers are authenticated" -}}
{{- end -}}
{{- if and $callers.spiffe (not .Values.tls.existingSecret) -}}
{{- fail "callers.spiffe needs tls.existingSecret: callers show their certificates in TLS" -}}
{{- end -}}
{{- if and $callers.spiffe (not $policies) -}}
{{- fail "callers.spiffe needs callers.policies: nothing is answered that no policy permits" -}}
{{- end -}}
{{- if and (or $policies $callers.self) (not $callers.spiffe) -}}
{{- fail "callers.policies or callers.self is given and callers.spiffe is empty, so it would not be used: give callers.spiffe, or remove it" -}}
{{- end -}}
{{- if and .Values.persistence.enabled (gt (int .Values.replicaCount) 1) -}}
{{- fail (printf "persistence.enabled with replicaCount %d: one process owns a data directory; set replicaCount to 1, or persistence.enabled to false" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim (not .Values.persistence.enabled) -}}
{{- fail (printf "persistence.existingClaim is `%s` and persistence.enabled is false, so it would not be used: set persistence.enabled to true, or remove the claim" .Values.persistence.existingClaim) -}}
{{- end -}}
{{- $own := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "test.podLabels" .Values.test.podLabels "podAnnotations" .Values.podAnnotations -}}
{{- range $value, $names := $own -}}
{{- range $name, $_ := $names -}}
{{- if regexMatch "^(app\\.kubernetes\\.io/.*|helm\\.sh/.*|checksum/config)$" $name -}}
{{- fail (printf "%s: `%s` is set by the chart: choose another name" $value $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
