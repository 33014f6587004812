{{/* Short enough that `-headless` still fits into a Service's 63 characters. */}}
{{- define "mandate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mandate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "mandate.labels" -}}
{{- with .Values.commonLabels }}{{ toYaml . }}
{{ end -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "mandate.identity" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "mandate.identity" -}}
app.kubernetes.io/name: {{ include "mandate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The pods of a workload, which are what it may never change. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.selectorLabels" -}}
{{ include "mandate.identity" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Everything that decides, and nothing else: not the pods of tests. Without followers these are the labels that
     pods have had from the first chart on, so that an upgrade leaves no Service without pods. */}}
{{- define "mandate.decidingLabels" -}}
{{- if .Values.followers.enabled -}}
{{ include "mandate.identity" . }}
mandate.dev/decides: "true"
{{- else -}}
{{ include "mandate.selectorLabels" (list . "server") }}
{{- end -}}
{{- end -}}

{{/* What pods carry: without the chart's version, which says nothing about them and would replace them. */}}
{{- define "mandate.podLabels" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.commonLabels }}{{ toYaml . }}
{{ end -}}
{{ include "mandate.selectorLabels" . }}
mandate.dev/decides: "true"
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
{{- end -}}

{{/* Name of a workload and of its ConfigMap. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.workloadName" -}}
{{- include "mandate.fullname" (index . 0) -}}{{- if eq (index . 1) "follower" -}}-follower{{- end -}}
{{- end -}}

{{- define "mandate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mandate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Takes a list: repository, tag and digest of an image, and the tag that it has without one. */}}
{{- define "mandate.imageName" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "mandate.image" -}}
{{- include "mandate.imageName" (list .Values.image .Chart.AppVersion) -}}
{{- end -}}
