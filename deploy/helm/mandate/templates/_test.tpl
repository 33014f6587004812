{{/* A pod that `helm test` runs: it ends well, or the test has failed. Takes a dict: root, name, image, args, memory, and files
     as a ConfigMap's name. */}}
{{- define "mandate.testPod" -}}
{{- $root := .root -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- with $root.Values.test.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "mandate.labels" $root | nindent 4 }}
    app.kubernetes.io/component: test
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "mandate.serviceAccountName" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "mandate.podSecurityContext" $root | nindent 4 }}
  containers:
    - name: test
      image: {{ include "mandate.imageName" (list .image $root.Chart.AppVersion) | quote }}
      imagePullPolicy: {{ .image.pullPolicy }}
      {{- with .command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      args:
        {{- toYaml .args | nindent 8 }}
      resources:
        requests:
          cpu: 50m
          memory: 64Mi
        limits:
          memory: 64Mi
      securityContext:
        {{- include "mandate.securityContext" $root | nindent 8 }}
      {{- if .files }}
      volumeMounts:
        - name: request
          mountPath: /request
          readOnly: true
      {{- end }}
  {{- with .files }}
  volumes:
    - name: request
      configMap:
        name: {{ . }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* What tests ask, name to text, as JSON: nothing over TLS, where a test would need a certificate of its own, and nothing
     is given to a pod that anybody may start. */}}
{{- define "mandate.testRequests" -}}
{{- $example := eq (include "mandate.origin" .) "example" -}}
{{- $requests := dict -}}
{{- if not (include "mandate.secured" .) -}}
{{- range $file, $given := dict "request.json" .Values.test.request "authzen.json" .Values.test.authzen -}}
{{- $text := $given -}}
{{- if and $example (not $given) -}}{{- $text = $.Files.Get (printf "files/%s" $file) -}}{{- end -}}
{{- if $text -}}{{- $_ := set $requests $file $text -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $requests -}}
{{- end -}}
