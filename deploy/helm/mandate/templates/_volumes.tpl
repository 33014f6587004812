{{/* The kinds of sources that are ConfigMaps. */}}
{{- define "mandate.mountedKinds" -}}
{{- $kinds := list -}}
{{- $root := . -}}
{{- range $kind := list "policies" "schemas" "entities" "emergency" -}}
{{- if and (include "mandate.configMapName" (list $root $kind)) (or (eq $kind "emergency") (not (include "mandate.oneVolume" $root))) -}}
{{- $kinds = append $kinds $kind -}}
{{- end -}}
{{- end -}}
{{- toJson $kinds -}}
{{- end -}}

{{/* Mounts of the server's container. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.mounts" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
# One file, and frozen on purpose: a change of it comes with a new pod.
- name: config
  mountPath: /etc/mandate/mandate.toml
  subPath: mandate.toml
  readOnly: true
{{- if eq (index . 1) "follower" }}
- name: follow
  mountPath: /etc/mandate/follow
  readOnly: true
{{- else }}
{{- if include "mandate.oneVolume" $root }}
- name: sources
  mountPath: /etc/mandate/sources
  readOnly: true
{{- end }}
# Whole folders: a file mounted by subPath would never change.
{{- range $kind := include "mandate.mountedKinds" $root | fromJsonArray }}
- name: {{ $kind }}
  mountPath: /etc/mandate/{{ $kind }}
  readOnly: true
{{- end }}
{{- if include "mandate.revocationsName" $root }}
- name: revocations
  mountPath: /etc/mandate/revocations
  readOnly: true
{{- end }}
{{- end }}
{{- if include "mandate.tlsSecret" $root }}
- name: tls
  mountPath: /etc/mandate/tls
  readOnly: true
{{- end }}
{{- if $values.tls.spiffe.enabled }}
- name: workload-api
  mountPath: /spiffe-workload-api
  readOnly: true
{{- end }}
{{- range $index, $trust := $values.callers.spiffe }}
{{- if $trust.existingConfigMap }}
- name: bundle-{{ $index }}
  mountPath: /etc/mandate/bundles/{{ $trust.trustDomain }}
  readOnly: true
{{- end }}
{{- end }}
{{- if include "mandate.authenticated" $root }}
- name: pep
  mountPath: /etc/mandate/pep
  readOnly: true
{{- end }}
- name: data
  mountPath: /var/lib/mandate
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Volumes of a pod. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.volumes" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
{{- $origin := include "mandate.origin" $root -}}
- name: config
  configMap:
    name: {{ include "mandate.workloadName" . }}
{{- if eq (index . 1) "follower" }}
- name: follow
  secret:
    secretName: {{ include "mandate.followSecret" $root }}
    # Owned by root and read by the pod's group, and by nobody else.
    defaultMode: 0440
{{- else }}
{{- if eq $origin "claim" }}
- name: sources
  persistentVolumeClaim:
    claimName: {{ $values.sources.existingClaim }}
    readOnly: true
{{- else if eq $origin "image" }}
- name: sources
  image:
    reference: {{ $values.sources.image.reference | quote }}
    pullPolicy: {{ $values.sources.image.pullPolicy }}
{{- else if eq $origin "git" }}
- name: sources
  emptyDir:
    sizeLimit: {{ $values.sources.git.sizeLimit }}
# Where git keeps what it needs meanwhile.
- name: git-tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with $values.sources.git.existingSecret }}
- name: git-secret
  secret:
    secretName: {{ . }}
    # Owned by root and read by the pod's group, and by nobody else.
    defaultMode: 0440
{{- end }}
{{- end }}
{{- range $kind := include "mandate.mountedKinds" $root | fromJsonArray }}
- name: {{ $kind }}
  configMap:
    name: {{ include "mandate.configMapName" (list $root $kind) }}
{{- end }}
{{- with include "mandate.revocationsName" $root }}
- name: revocations
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}
{{- with include "mandate.tlsSecret" $root }}
- name: tls
  secret:
    secretName: {{ . }}
    # Owned by root and read by the pod's group, and by nobody else.
    defaultMode: 0440
{{- end }}
{{- if $values.tls.spiffe.enabled }}
- name: workload-api
  csi:
    driver: {{ $values.tls.spiffe.driver }}
    readOnly: true
{{- end }}
{{- range $index, $trust := $values.callers.spiffe }}
{{- if $trust.existingConfigMap }}
- name: bundle-{{ $index }}
  configMap:
    name: {{ $trust.existingConfigMap }}
{{- end }}
{{- end }}
{{- if include "mandate.authenticated" $root }}
- name: pep
  configMap:
    name: {{ include "mandate.pepName" $root }}
{{- end }}
{{- include "mandate.dataVolume" . }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The volume of the data, unless it comes from a template of claims. */}}
{{- define "mandate.dataVolume" -}}
{{- $root := index . 0 -}}{{- $server := eq (index . 1) "server" -}}
{{- $persistence := $root.Values.persistence -}}
{{- if and $server $persistence.enabled (or $persistence.existingClaim (eq (include "mandate.kind" $root) "Deployment")) }}
- name: data
  persistentVolumeClaim:
    claimName: {{ default (include "mandate.fullname" $root) $persistence.existingClaim }}
{{- else if not (include "mandate.survives" .) }}
- name: data
  emptyDir:
    sizeLimit: {{ $persistence.sizeLimit }}
{{- end }}
{{- end -}}
