{{/* Where the sources come from: `example`, `configMaps`, `claim`, `image` or `git`. Exactly one, because permits of two sets add up. */}}
{{- define "mandate.origin" -}}
{{- $sources := .Values.sources -}}
{{- $given := list -}}
{{- range $kind := list "policies" "schemas" "entities" -}}
{{- if include "mandate.given" (get $sources $kind) -}}{{- $given = append $given (printf "sources.%s" $kind) -}}{{- end -}}
{{- end -}}
{{- $volumes := list -}}
{{- if $sources.existingClaim -}}{{- $volumes = append $volumes "sources.existingClaim" -}}{{- end -}}
{{- if $sources.image.reference -}}{{- $volumes = append $volumes "sources.image" -}}{{- end -}}
{{- if $sources.git.repository -}}{{- $volumes = append $volumes "sources.git" -}}{{- end -}}
{{- $all := concat $given $volumes -}}
{{- if and $sources.example $all -}}
{{- fail (printf "%s is given and sources.example is true; sets are never merged: set sources.example to false to be decided by your own" (first $all)) -}}
{{- else if and $volumes (gt (len $all) 1) -}}
{{- fail (printf "%s and %s are both given; sets are never merged: remove one of them" (first $all) (last $all)) -}}
{{- else if $sources.example -}}example
{{- else if $volumes -}}
{{- get (dict "sources.existingClaim" "claim" "sources.image" "image" "sources.git" "git") (first $volumes) -}}
{{- else if and (has "sources.policies" $given) (has "sources.schemas" $given) -}}configMaps
{{- else -}}
{{- fail "there is nothing to decide by: give sources.policies and sources.schemas, or one of sources.existingClaim, sources.image and sources.git, or set sources.example to true" -}}
{{- end -}}
{{- end -}}

{{/* Whether all sources but the emergency forbids are in one volume. */}}
{{- define "mandate.oneVolume" -}}
{{- if has (include "mandate.origin" .) (list "claim" "image" "git") -}}one{{- end -}}
{{- end -}}

{{/* The folder in it that holds policies, schemas and entities. git-sync moves the link `current`. */}}
{{- define "mandate.volumeFolder" -}}
{{- $origin := include "mandate.origin" . -}}
/etc/mandate/sources
{{- if eq $origin "git" }}/current{{ end -}}
{{- if has $origin (list "git" "image") -}}
{{- with trimAll "/" (get .Values.sources $origin).path }}/{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Whether a kind of source is given at all, and not twice. */}}
{{- define "mandate.given" -}}
{{- if and .files .existingConfigMap -}}
{{- fail (printf "sources: files and existingConfigMap `%s` are both given for one kind: remove one of them" .existingConfigMap) -}}
{{- end -}}
{{- if or .files .existingConfigMap -}}given{{- end -}}
{{- end -}}

{{/* Name of the ConfigMap of a kind, empty if there is none. Takes a list: the root and the kind. */}}
{{- define "mandate.configMapName" -}}
{{- $root := index . 0 -}}{{- $kind := index . 1 -}}
{{- $source := get $root.Values.sources $kind -}}
{{- if $source.existingConfigMap -}}
{{- $source.existingConfigMap -}}
{{- else if or $source.files (eq $kind "emergency") (eq (include "mandate.origin" $root) "example") -}}
{{- printf "%s-%s" (include "mandate.fullname" $root) $kind -}}
{{- end -}}
{{- end -}}

{{/* Name of the ConfigMap of the revocations, empty if there is none. */}}
{{- define "mandate.revocationsName" -}}
{{- $revocations := .Values.sources.revocations -}}
{{- if and $revocations.file $revocations.existingConfigMap -}}
{{- fail (printf "sources.revocations: file and existingConfigMap `%s` are both given: remove one of them" $revocations.existingConfigMap) -}}
{{- end -}}
{{- if $revocations.existingConfigMap -}}
{{- $revocations.existingConfigMap -}}
{{- else if $revocations.file -}}
{{- printf "%s-revocations" (include "mandate.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Of everything that the chart renders of the sources: what changes it should be tried by new pods. */}}
{{- define "mandate.sourcesDigest" -}}
{{- $root := . -}}
{{- $parts := list -}}
{{- range $kind := list "policies" "schemas" "entities" -}}
{{- $parts = append $parts (include "mandate.files" (list $root $kind)) -}}
{{- end -}}
{{- $parts | toJson | sha256sum -}}
{{- end -}}

{{/* Whether callers are authenticated. */}}
{{- define "mandate.authenticated" -}}
{{- if or .Values.callers.spiffe .Values.callers.issuers -}}authenticated{{- end -}}
{{- end -}}

{{/* Name of the ConfigMap of the policies about callers. */}}
{{- define "mandate.pepName" -}}
{{- default (printf "%s-pep" (include "mandate.fullname" .)) .Values.callers.policies.existingConfigMap -}}
{{- end -}}

{{/* Refuses names that a ConfigMap cannot hold or Mandate would not read, and more than a ConfigMap holds. */}}
{{- define "mandate.checkFiles" -}}
{{- $suffixes := dict "policies" "(\\.cedar|\\.links\\.json)" "schemas" "(\\.cedarschema|\\.cedarschema\\.json|\\.tools\\.json)" "entities" "\\.json" "emergency" "\\.cedar" "pep" "\\.cedar" -}}
{{- $names := dict "policies" "NAME.cedar or NAME.links.json" "schemas" "NAME.cedarschema, NAME.cedarschema.json or NAME.tools.json" "entities" "NAME.json" "emergency" "NAME.cedar" "pep" "NAME.cedar" -}}
{{- $bytes := 0 -}}
{{- range $name, $text := .files -}}
{{- if not (or (eq $name "mandate.sum") (regexMatch (printf "^[a-zA-Z0-9_][-._a-zA-Z0-9]*%s$" (get $suffixes $.kind)) $name)) -}}
{{- fail (printf "%s: `%s` would not be read: call it %s, with letters, digits, `-`, `_` and `.` only" (include "mandate.filesValue" $.kind) $name (get $names $.kind)) -}}
{{- end -}}
{{- $bytes = add $bytes (len $name) (len $text) -}}
{{- end -}}
{{- if gt $bytes 1000000 -}}
{{- fail (printf "%s: %d bytes are more than a ConfigMap holds (1 MiB): use sources.existingClaim, sources.image or sources.git" (include "mandate.filesValue" .kind) $bytes) -}}
{{- end -}}
{{- end -}}

{{/* The value that holds the files of a kind. */}}
{{- define "mandate.filesValue" -}}
{{- eq . "pep" | ternary "callers.policies.files" (printf "sources.%s.files" .) -}}
{{- end -}}

{{/* Where the server finds a kind of source. */}}
{{- define "mandate.folder" -}}
{{- $root := index . 0 -}}{{- $kind := index . 1 -}}
{{- include "mandate.oneVolume" $root | empty | ternary "/etc/mandate" (include "mandate.volumeFolder" $root) -}}/{{- $kind -}}
{{- end -}}

{{/* A kind's files that the chart renders, name to text, as JSON. Takes a list: the root and the kind. */}}
{{- define "mandate.files" -}}
{{- $root := index . 0 -}}{{- $kind := index . 1 -}}
{{- $files := dict -}}
{{- if and (ne $kind "emergency") (eq (include "mandate.origin" $root) "example") -}}
{{- range $path, $text := $root.Files.Glob (printf "files/example/%s/*" $kind) -}}
{{- $_ := set $files (base $path) (toString $text) -}}
{{- end -}}
{{- else -}}
{{- $files = (get $root.Values.sources $kind).files -}}
{{- include "mandate.checkFiles" (dict "kind" $kind "files" $files) -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}
