{{/* The template of pods. Takes a list: the root, and `server` or `follower`. */}}
{{- define "mandate.pod" -}}
{{- $root := index . 0 -}}{{- $role := index . 1 -}}
{{- $values := $root.Values -}}
metadata:
  labels:
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "mandate.podLabels" . | nindent 4 }}
  annotations:
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    # Of mandate.toml: a change of it needs another process.
    checksum/config: {{ include "mandate.toml" . | sha256sum }}
    {{- if and (eq $values.sources.rollout "restart") (eq $role "server") }}
    checksum/sources: {{ include "mandate.sourcesDigest" $root }}
    {{- end }}
spec:
  serviceAccountName: {{ include "mandate.serviceAccountName" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "mandate.terminationSeconds" $root }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- include "mandate.podSecurityContext" $root | nindent 4 }}
  {{- /* With data that survived, a server starts with the set it served last, so it must not wait for the repository. */}}
  {{- $git := and (eq $role "server") (eq (include "mandate.origin" $root) "git") }}
  {{- if and $git (not (include "mandate.survives" .)) }}
  initContainers:
    {{- include "mandate.gitSync" (list $root "git-sync-first" (list "--one-time")) | nindent 4 }}
  {{- end }}
  containers:
    {{- include "mandate.container" . | nindent 4 }}
    {{- if $git }}
    {{- include "mandate.gitSync" (list $root "git-sync" (list (printf "--period=%s" $values.sources.git.period))) | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "mandate.volumes" . | nindent 4 }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $own := dict "labelSelector" (dict "matchLabels" (include "mandate.selectorLabels" $ | fromYaml)) }}
    - {{- merge (dict) . $own | toYaml | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with include "mandate.affinity" . }}
  affinity:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Whether the data directory outlives a pod. */}}
{{- define "mandate.survives" -}}
{{- $root := index . 0 -}}
{{- $persistence := eq (index . 1) "follower" | ternary $root.Values.followers.persistence $root.Values.persistence -}}
{{- if $persistence.enabled -}}survives{{- end -}}
{{- end -}}

{{/* `affinity`, and pods of a workload on other nodes than each other unless it has a podAntiAffinity of its own. */}}
{{- define "mandate.affinity" -}}
{{- $root := index . 0 -}}
{{- $affinity := deepCopy $root.Values.affinity -}}
{{- $spread := $root.Values.podAntiAffinity -}}
{{- if and (ne $spread "none") (not (hasKey $affinity "podAntiAffinity")) (not (and (eq (index . 1) "server") (eq (include "mandate.kind" $root) "DaemonSet"))) -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "mandate.selectorLabels" . | fromYaml)) -}}
{{- if eq $spread "hard" -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- else -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term))) -}}
{{- end -}}
{{- end -}}
{{- if $affinity -}}{{- toYaml $affinity -}}{{- end -}}
{{- end -}}

{{/* The server's container. */}}
{{- define "mandate.container" -}}
{{- $root := index . 0 -}}{{- $role := index . 1 -}}
{{- $values := $root.Values -}}
- name: mandate
  image: {{ include "mandate.image" $root | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  args:
    - serve
    - --config=/etc/mandate/mandate.toml
    {{- if $values.insecureUnauthenticatedCallers }}
    - --insecure-unauthenticated-callers
    {{- end }}
  {{- with $values.extraEnv }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - name: grpc
      containerPort: 4466
    - name: http
      containerPort: 4467
    - name: ops
      containerPort: 4468
    {{- if and $values.control.enabled (eq $role "server") }}
    - name: control
      containerPort: 4469
    {{- end }}
  # Up to two minutes to load: then the container is started again.
  startupProbe:
    httpGet:
      path: /livez
      port: 4468
    periodSeconds: 2
    failureThreshold: 60
  livenessProbe:
    httpGet:
      path: /livez
      port: 4468
    periodSeconds: 10
    timeoutSeconds: 5
  readinessProbe:
    httpGet:
      path: /readyz
      port: 4468
    # Often enough that no new call comes to a pod whose shutdown has begun, once its grace is over.
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 1
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    {{- include "mandate.securityContext" $root | nindent 4 }}
  volumeMounts:
    {{- include "mandate.mounts" . | nindent 4 }}
{{- end -}}

{{/* A git-sync container: it keeps a checkout, and a link `current` that it moves from one to the next. The commit that is
     served is always whole. Takes a list: the root, a name, and arguments of its own. */}}
{{- define "mandate.gitSync" -}}
{{- $root := index . 0 -}}
{{- $git := $root.Values.sources.git -}}
- name: {{ index . 1 }}
  image: {{ include "mandate.imageName" (list $git.image "") | quote }}
  imagePullPolicy: {{ $git.image.pullPolicy }}
  args:
    - --repo={{ $git.repository }}
    - --ref={{ $git.ref }}
    - --root=/git
    - --link=current
    # A repository that cannot be reached is tried again; what was fetched before stays.
    - --max-failures=-1
    {{- range index . 2 }}
    - {{ . }}
    {{- end }}
    {{- if include "mandate.gitSsh" $root }}
    - --ssh-key-file=/etc/git-secret/ssh-privatekey
    - --ssh-known-hosts-file=/etc/git-secret/known_hosts
    {{- else if $git.existingSecret }}
    - --password-file=/etc/git-secret/password
    {{- end }}
  {{- if include "mandate.gitSsh" $root }}
  env:
    # The first releases of version 4 must be told; later ones see it.
    - name: GITSYNC_SSH
      value: "true"
  {{- else if $git.existingSecret }}
  env:
    - name: GITSYNC_USERNAME
      valueFrom:
        secretKeyRef:
          name: {{ $git.existingSecret }}
          key: username
  {{- end }}
  resources:
    {{- toYaml $git.resources | nindent 4 }}
  securityContext:
    {{- include "mandate.securityContext" $root | nindent 4 }}
    # The user that the image knows: ssh asks for its name.
    runAsUser: 65533
    runAsGroup: 65533
  volumeMounts:
    - name: sources
      mountPath: /git
    - name: git-tmp
      mountPath: /tmp
    {{- if $git.existingSecret }}
    - name: git-secret
      mountPath: /etc/git-secret
      readOnly: true
    {{- end }}
{{- end -}}

{{/* Whether the repository is reached by SSH. */}}
{{- define "mandate.gitSsh" -}}
{{- if not (hasPrefix "https://" .Values.sources.git.repository) -}}ssh{{- end -}}
{{- end -}}
