{{/* What cannot work is refused before anything is installed. Each message names the values and says what to do. */}}
{{- define "mandate.checks" -}}
{{- include "mandate.checkCallers" . -}}
{{- include "mandate.checkTls" . -}}
{{- include "mandate.checkSources" . -}}
{{- include "mandate.checkWorkload" . -}}
{{- include "mandate.checkPrimary" . -}}
{{- include "mandate.checkScaling" . -}}
{{- include "mandate.checkRoom" . -}}
{{- include "mandate.checkMonitoring" . -}}
{{- include "mandate.checkExtras" . -}}
{{- end -}}

{{- define "mandate.checkCallers" -}}
{{- $callers := .Values.callers -}}
{{- $policies := include "mandate.given" $callers.policies -}}
{{- $authenticated := include "mandate.authenticated" . -}}
{{- if not (or .Values.insecureUnauthenticatedCallers $authenticated) -}}
{{- fail "insecureUnauthenticatedCallers is false, and callers.spiffe and callers.issuers are empty: nobody could ask. Give tls, callers.spiffe or callers.issuers, and callers.policies, or set it to true and keep networkPolicy on so that only your enforcement points reach the server" -}}
{{- end -}}
{{- if and .Values.insecureUnauthenticatedCallers $authenticated -}}
{{- fail "callers.spiffe or callers.issuers is given and insecureUnauthenticatedCallers is true: set it to false, for callers are authenticated" -}}
{{- end -}}
{{- if and $authenticated (not (include "mandate.secured" .)) -}}
{{- fail "callers.spiffe and callers.issuers need TLS, in which callers show who they are: give tls.existingSecret, tls.certManager or tls.spiffe" -}}
{{- end -}}
{{- if and $authenticated (not $policies) -}}
{{- fail "callers.spiffe and callers.issuers need callers.policies: nothing is answered that no policy permits" -}}
{{- end -}}
{{- if and (or $policies $callers.self) (not $authenticated) -}}
{{- fail "callers.policies or callers.self is given, and callers.spiffe and callers.issuers are empty, so it would not be used: give one of these, or remove it" -}}
{{- end -}}
{{- range $callers.spiffe -}}
{{- if and (not .existingConfigMap) (not $.Values.tls.spiffe.enabled) -}}
{{- fail (printf "callers.spiffe: `%s` has no existingConfigMap, and tls.spiffe.enabled is false: say where its bundle is, or let the Workload API bring it" .trustDomain) -}}
{{- end -}}
{{- if and .existingConfigMap (not .key) -}}
{{- fail (printf "callers.spiffe: `%s` has existingConfigMap and no key: say which of its entries is the bundle" .trustDomain) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mandate.checkTls" -}}
{{- $tls := .Values.tls -}}
{{- $given := list -}}
{{- if $tls.existingSecret -}}{{- $given = append $given "tls.existingSecret" -}}{{- end -}}
{{- if $tls.certManager.enabled -}}{{- $given = append $given "tls.certManager.enabled" -}}{{- end -}}
{{- if $tls.spiffe.enabled -}}{{- $given = append $given "tls.spiffe.enabled" -}}{{- end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "%s are given at once: the server has one certificate; keep one of them" (join " and " $given)) -}}
{{- end -}}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.enabled needs tls.certManager.issuerRef.name: the Issuer or ClusterIssuer that signs" -}}
{{- end -}}
{{- if ge (trimSuffix "h" $tls.certManager.renewBefore | int) (trimSuffix "h" $tls.certManager.duration | int) -}}
{{- fail (printf "tls.certManager.renewBefore is %s and tls.certManager.duration %s: a certificate is renewed before it ends, and after it begins" $tls.certManager.renewBefore $tls.certManager.duration) -}}
{{- end -}}
{{- end -}}

{{- define "mandate.checkSources" -}}
{{- $sources := .Values.sources -}}
{{- $origin := include "mandate.origin" . -}}
{{- if eq $origin "image" -}}
{{- $version := .Capabilities.KubeVersion.Version -}}
{{- if semverCompare "<1.31.0-0" $version -}}
{{- fail (printf "sources.image: Kubernetes %s has no image volumes; they came with 1.31. Use sources.git, sources.existingClaim or ConfigMaps, or upgrade the cluster" $version) -}}
{{- else if and (semverCompare "<1.35.0-0" $version) (not $sources.image.featureGate) -}}
{{- fail (printf "sources.image: Kubernetes %s has image volumes behind the feature gate ImageVolume, which is off unless somebody turned it on. If API server, kubelets and container runtime of this cluster have it, set sources.image.featureGate to true; or use sources.git" $version) -}}
{{- end -}}
{{- end -}}
{{- if eq $origin "git" -}}
{{- if not $sources.git.ref -}}
{{- fail "sources.git.ref is empty: name the branch, tag or commit that decides" -}}
{{- end -}}
{{- if not (or $sources.git.image.tag $sources.git.image.digest) -}}
{{- fail "sources.git.image has neither tag nor digest: give one" -}}
{{- end -}}
{{- if and (include "mandate.gitSsh" .) (not $sources.git.existingSecret) -}}
{{- fail (printf "sources.git.repository is `%s`, which is reached by SSH, and sources.git.existingSecret is empty: name a Secret with ssh-privatekey and known_hosts, or use https://" $sources.git.repository) -}}
{{- end -}}
{{- end -}}
{{- if eq $sources.rollout "restart" -}}
{{- range $kind := list "policies" "schemas" "entities" -}}
{{- if (get $sources $kind).existingConfigMap -}}
{{- fail (printf "sources.rollout is restart and sources.%s.existingConfigMap is given: the chart does not see when that changes. Give its files as sources.%s.files, or set sources.rollout to live" $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- if has $origin (list "claim" "git") -}}
{{- fail (printf "sources.rollout is restart and the sources come from sources.%s: the chart does not see when that changes. Set sources.rollout to live" (eq $origin "git" | ternary "git" "existingClaim")) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mandate.checkWorkload" -}}
{{- $kind := include "mandate.kind" . -}}
{{- $persistence := .Values.persistence -}}
{{- if and (eq $kind "DaemonSet") $persistence.enabled -}}
{{- fail "kind is DaemonSet and persistence.enabled is true: a DaemonSet has no claims of its own for each pod. Set persistence.enabled to false, or kind to StatefulSet" -}}
{{- end -}}
{{- if and (eq $kind "DaemonSet") .Values.followers.enabled -}}
{{- fail "kind is DaemonSet and followers.enabled is true: followers follow one primary. Set kind to auto" -}}
{{- end -}}
{{- if and (eq $kind "Deployment") .Values.followers.enabled -}}
{{- fail "kind is Deployment and followers.enabled is true: the primary keeps what was written, and its name. Set kind to auto" -}}
{{- end -}}
{{- if and $persistence.existingClaim (not $persistence.enabled) -}}
{{- fail (printf "persistence.existingClaim is `%s` and persistence.enabled is false, so it would not be used: set persistence.enabled to true, or remove the claim" $persistence.existingClaim) -}}
{{- end -}}
{{- $several := or (gt (include "mandate.fewest" (list . "server") | int) 1) (and .Values.autoscaling.enabled (eq (include "mandate.scaledRole" .) "server")) -}}
{{- if and $persistence.enabled $persistence.existingClaim $several -}}
{{- fail (printf "persistence.existingClaim is `%s` and there is more than one replica: one process owns a data directory. Set replicaCount to 1 and autoscaling.enabled to false, or remove the claim, so that each pod gets one of its own" $persistence.existingClaim) -}}
{{- end -}}
{{- if and $persistence.enabled (eq $kind "Deployment") $several -}}
{{- fail "kind is Deployment, persistence.enabled is true and there is more than one replica: one process owns a data directory. Set kind to auto, which gives each pod a claim of its own, or replicaCount to 1 and autoscaling.enabled to false" -}}
{{- end -}}
{{- include "mandate.checkOlderClaim" . -}}
{{- $kinds := dict "server" $kind "follower" (.Values.followers.enabled | ternary (include "mandate.followerKind" .) "") -}}
{{- range $role, $made := $kinds -}}
{{- $name := include "mandate.workloadName" (list $ $role) -}}
{{- if and (eq $made "StatefulSet") (gt (len $name) 52) -}}
{{- fail (printf "the StatefulSet would be called `%s`, which is %d characters long; its pods cannot be labelled with more than 52: set fullnameOverride to something shorter" $name (len $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The chart before 0.2.0 kept the data in a claim named like the release, which a StatefulSet would leave behind. */}}
{{- define "mandate.checkOlderClaim" -}}
{{- if and (eq (include "mandate.kind" .) "StatefulSet") (include "mandate.ownClaims" .) -}}
{{- $name := include "mandate.fullname" . -}}
{{- if lookup "v1" "PersistentVolumeClaim" .Release.Namespace $name -}}
{{- fail (printf "the claim `%s` of an earlier chart holds this release's data, revocations among it, and the StatefulSet would begin with an empty one: set persistence.existingClaim to %s and replicaCount to 1, or kind to Deployment; or delete the claim if nothing in it matters" $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What is written at run time has one home. */}}
{{- define "mandate.checkPrimary" -}}
{{- $control := .Values.control.enabled -}}
{{- if and .Values.followers.enabled (not $control) -}}
{{- fail "followers.enabled needs control.enabled: followers are fed by the primary's control listener" -}}
{{- end -}}
{{- $followers := .Values.followers -}}
{{- if and $followers.enabled (not (or $followers.existingSecret (and $followers.spiffeId .Values.tls.certManager.enabled))) -}}
{{- fail "followers.enabled needs something that followers show to the primary: followers.spiffeId with tls.certManager.enabled, or followers.existingSecret with tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- if and $followers.existingSecret $followers.spiffeId -}}
{{- fail "followers.existingSecret and followers.spiffeId are both given: remove one of them" -}}
{{- end -}}
{{- if and $followers.enabled (not .Values.callers.spiffe) -}}
{{- fail "followers.enabled needs callers.spiffe: followers show a certificate of a trust domain, and a policy in callers.policies must permit it the action `watch`" -}}
{{- end -}}
{{- if $control -}}
{{- if not (include "mandate.authenticated" .) -}}
{{- fail "control.enabled needs callers that are authenticated: whoever reaches the listener would write entities and revoke. Give tls, callers.spiffe or callers.issuers, and callers.policies" -}}
{{- end -}}
{{- if not .Values.persistence.enabled -}}
{{- fail "control.enabled and persistence.enabled is false: what is written, revocations among it, would be lost with the pod. Set persistence.enabled to true" -}}
{{- end -}}
{{- $several := or (gt (include "mandate.fewest" (list . "server") | int) 1) (and .Values.autoscaling.enabled (not .Values.followers.enabled)) -}}
{{- if $several -}}
{{- fail (printf "control.enabled with more than one replica (replicaCount %d, autoscaling.enabled %t): what is written to one pod would be unknown to the others. Set followers.enabled to true, so that one primary takes writes and followers.replicaCount pods follow it; or replicaCount to 1 and autoscaling.enabled to false" (int .Values.replicaCount) .Values.autoscaling.enabled) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mandate.checkScaling" -}}
{{- $scaling := .Values.autoscaling -}}
{{- if $scaling.enabled -}}
{{- if and (eq (include "mandate.kind" .) "DaemonSet") (not .Values.followers.enabled) -}}
{{- fail "kind is DaemonSet and autoscaling.enabled is true: a DaemonSet has a pod for each node. Set autoscaling.enabled to false" -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas %d: the fewest cannot be more than the most" (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- if not (or $scaling.targetCPUUtilizationPercentage $scaling.metrics) -}}
{{- fail "autoscaling.enabled with neither autoscaling.targetCPUUtilizationPercentage nor autoscaling.metrics: there is nothing to scale by" -}}
{{- end -}}
{{- if and $scaling.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" .Values.resources)) -}}
{{- fail "autoscaling.targetCPUUtilizationPercentage is a share of resources.requests.cpu, which is not set: give it, or scale by autoscaling.metrics" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Volumes and memory have room for what the configuration puts into them: a pod that outgrows its emptyDir is evicted. */}}
{{- define "mandate.checkRoom" -}}
{{- $log := .Values.config.log -}}
{{- if and (ne $log.mode "off") $log.retain_bytes -}}
{{- $needed := add (int64 $log.retain_bytes) (default 67108864 $log.segment_bytes | int64) -}}
{{- $room := list "persistence.sizeLimit" .Values.persistence.sizeLimit -}}
{{- if include "mandate.ownClaims" . -}}{{- $room = list "persistence.size" .Values.persistence.size -}}{{- end -}}
{{- $bytes := include "mandate.bytes" (index $room 1) | int64 -}}
{{- if and (gt $needed $bytes) (not .Values.persistence.existingClaim) -}}
{{- fail (printf "config.log.retain_bytes and one config.log.segment_bytes are %d bytes together, and %s is %s: give the volume more, or retain less" $needed (index $room 0) (index $room 1)) -}}
{{- end -}}
{{- end -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if and $limit .Values.config.cache -}}
{{- $cache := default 67108864 .Values.config.cache.max_bytes | int64 -}}
{{- if gt (mul $cache 2) (include "mandate.bytes" $limit | int64) -}}
{{- fail (printf "config.cache.max_bytes is %d, more than half of resources.limits.memory, which is %v: policies and entities need the rest. Give more memory, or the cache less" $cache $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a quantity; with a unit that is not known here, more than anything. */}}
{{- define "mandate.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $text := kindIs "string" . | ternary . (int64 . | toString) -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- hasKey $units $unit | ternary (mulf (float64 $number) (get $units $unit | float64) | floor | int64) 9223372036854775807 -}}
{{- end -}}

{{- define "mandate.checkMonitoring" -}}
{{- $monitoring := .Values.monitoring -}}
{{- if and $monitoring.serviceMonitor.enabled $monitoring.podMonitor.enabled -}}
{{- fail "monitoring.serviceMonitor.enabled and monitoring.podMonitor.enabled are both true: every figure would be counted twice. Set one of them to false" -}}
{{- end -}}
{{- $known := list -}}
{{- range (.Files.Get "files/mandate.rules.yaml" | fromYaml).groups -}}
{{- range .rules -}}{{- with .alert -}}{{- $known = append $known . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- range $monitoring.prometheusRule.disabled -}}
{{- if not (has . $known) -}}
{{- fail (printf "monitoring.prometheusRule.disabled: there is no alert `%s`; there are %s" . (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mandate.checkExtras" -}}
{{- $test := .Values.test.podLabels -}}
{{- $own := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "test.podLabels" $test "podAnnotations" .Values.podAnnotations -}}
{{- range $value, $names := $own -}}
{{- range $name, $_ := $names -}}
{{- if regexMatch "^(app\\.kubernetes\\.io/.*|helm\\.sh/.*|mandate\\.dev/decides|checksum/(config|sources))$" $name -}}
{{- fail (printf "%s: `%s` is set by the chart: choose another name" $value $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $seen := list -}}
{{- range .Values.extraEnv -}}
{{- if has .name $seen -}}
{{- fail (printf "extraEnv: `%s` is there twice: keep one of them" .name) -}}
{{- end -}}
{{- $seen = append $seen .name -}}
{{- if regexMatch "^MANDATE__(SOURCES|DATA|LISTEN|TLS|CALLERS|CONTROL|FOLLOW|FOLLOWERS)__" .name -}}
{{- fail (printf "extraEnv: `%s` would override what the chart sets, and mounts, services and network policy would not know: use the chart's values" .name) -}}
{{- end -}}
{{- end -}}
{{- $volumes := list -}}
{{- range .Values.extraVolumes -}}
{{- if hasKey . "hostPath" -}}
{{- fail (printf "extraVolumes: `%s` is a hostPath, which lets a pod out of its place: use a Secret, ConfigMap, claim or CSI volume" .name) -}}
{{- end -}}
{{- if or (has .name $volumes) (regexMatch "^(config|sources|git-tmp|git-secret|policies|schemas|entities|emergency|revocations|tls|workload-api|pep|data|follow|bundle-[0-9]+)$" .name) -}}
{{- fail (printf "extraVolumes: the name `%s` is taken: choose another" .name) -}}
{{- end -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- fail (printf "extraVolumeMounts: `%s` is not one of extraVolumes: add it there" .name) -}}
{{- end -}}
{{- if regexMatch "^/(etc/mandate|var/lib/mandate|spiffe-workload-api)(/|$)" .mountPath -}}
{{- fail (printf "extraVolumeMounts: `%s` is the chart's own place: mount it elsewhere, for instance under /run" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}
