{{/* What cannot work is refused before anything is installed. */}}
{{- define "mandate.checks" -}}
{{- if not .Values.insecureUnauthenticatedCallers -}}
{{- fail "insecureUnauthenticatedCallers is false: this version cannot authenticate callers, and the server refuses to listen beyond its own pod unless it is told to; set it to true, and keep networkPolicy on so that only your enforcement points reach it" -}}
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
