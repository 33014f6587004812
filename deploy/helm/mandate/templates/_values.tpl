{{/* Adds what is missing of the chart's values. With `helm upgrade --reuse-values` Helm hands over the values of the chart
     before, and none that came with this one. Every template begins with this: none may meet a value that is not there. */}}
{{- define "mandate.values" -}}
{{- if not (hasKey .Values "kind") -}}
{{- /* The chart before knew Deployments only, and its claim is one: a StatefulSet would begin with an empty volume. */ -}}
{{- $_ := set .Values "kind" "Deployment" -}}
{{- end -}}
{{- $defaults := .Files.Get "files/values.yaml" | fromYaml -}}
{{- include "mandate.fill" (list .Values $defaults) -}}
{{- end -}}

{{/* Takes a list: a map, and what belongs into it where it is missing. Nothing that is there is changed. What people may
     take something out of (with null) is left as it is. */}}
{{- define "mandate.fill" -}}
{{- $values := index . 0 -}}
{{- range $name, $default := index . 1 -}}
{{- if not (hasKey $values $name) -}}
{{- $_ := set $values $name $default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" (get $values $name)) (not (has $name (list "config" "resources" "podLabels" "labels"))) -}}
{{- include "mandate.fill" (list (get $values $name) $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}
