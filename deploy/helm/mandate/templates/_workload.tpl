{{/* What the server is: what `kind` says, or what fits. A claim of one's own belongs to one pod, which a Deployment can
     be; claims of their own for each pod are a StatefulSet's. */}}
{{- define "mandate.kind" -}}
{{- if ne .Values.kind "auto" -}}
{{- .Values.kind -}}
{{- else if or (include "mandate.ownClaims" .) .Values.followers.enabled -}}StatefulSet
{{- else -}}Deployment
{{- end -}}
{{- end -}}

{{/* Whether the chart makes the claim of the data. */}}
{{- define "mandate.ownClaims" -}}
{{- if and .Values.persistence.enabled (not .Values.persistence.existingClaim) -}}own{{- end -}}
{{- end -}}

{{/* What followers are. */}}
{{- define "mandate.followerKind" -}}
{{- .Values.followers.persistence.enabled | ternary "StatefulSet" "Deployment" -}}
{{- end -}}

{{/* Which workload is scaled: the one whose pods are all alike. */}}
{{- define "mandate.scaledRole" -}}
{{- .Values.followers.enabled | ternary "follower" "server" -}}
{{- end -}}

{{/* The fewest pods that a workload has. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.fewest" -}}
{{- $root := index . 0 -}}{{- $role := index . 1 -}}
{{- if and $root.Values.autoscaling.enabled (eq $role (include "mandate.scaledRole" $root)) -}}
{{- $root.Values.autoscaling.minReplicas -}}
{{- else if eq $role "follower" -}}
{{- $root.Values.followers.replicaCount -}}
{{- else if $root.Values.followers.enabled -}}1
{{- else -}}
{{- $root.Values.replicaCount -}}
{{- end -}}
{{- end -}}

{{/* A workload whole. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.workload" -}}
{{- $root := index . 0 -}}{{- $role := index . 1 -}}
{{- $kind := eq $role "follower" | ternary (include "mandate.followerKind" $root) (include "mandate.kind" $root) -}}
{{- $claimed := and (eq $role "server") $root.Values.persistence.enabled -}}
{{- $persistence := eq $role "follower" | ternary $root.Values.followers.persistence $root.Values.persistence -}}
apiVersion: apps/v1
kind: {{ $kind }}
metadata:
  name: {{ include "mandate.workloadName" . }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "mandate.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $role }}
spec:
  {{- /* Who scales a workload owns this number: written here, every upgrade would take it back. */}}
  {{- if and (ne $kind "DaemonSet") (not (and $root.Values.autoscaling.enabled (eq $role (include "mandate.scaledRole" $root)))) }}
  replicas: {{ include "mandate.fewest" . }}
  {{- end }}
  {{- if eq $kind "DaemonSet" }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  {{- else if eq $kind "StatefulSet" }}
  serviceName: {{ include "mandate.fullname" $root }}-headless
  # The pods do not wait for each other: each has its own data.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  {{- if $persistence.enabled }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ $root.Values.persistence.retention.whenDeleted }}
    whenScaled: {{ $root.Values.persistence.retention.whenScaled }}
  {{- end }}
  {{- else }}
  strategy:
    {{- if $claimed }}
    # One process owns the data directory: the old pod must have let go of it before the new one starts.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
    {{- end }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "mandate.selectorLabels" . | nindent 6 }}
  template:
    {{- include "mandate.pod" . | nindent 4 }}
  {{- if and (eq $kind "StatefulSet") $persistence.enabled (not (and (eq $role "server") $root.Values.persistence.existingClaim)) }}
  volumeClaimTemplates:
    # Nothing in here may ever change, so the labels are those that do not.
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
        labels:
          {{- include "mandate.selectorLabels" . | nindent 10 }}
      spec:
        accessModes: [{{ $root.Values.persistence.accessMode }}]
        {{- with $root.Values.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $persistence.size }}
  {{- end }}
{{- end -}}
