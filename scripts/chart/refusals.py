"""What cannot work does not render, and the message says why. Each guard of the templates is met by one of these."""

import re
import tempfile

from .render import CHART, MIB, Render, at_once, flags, must

OWN = {"sources.example": "false", "sources.policies.files.a\\.cedar": "x", "sources.schemas.files.a\\.cedarschema": "x"}
GIT = {"sources.example": "false", "sources.git.repository": "https://git.example/p.git"}
SSH = {**GIT, "sources.git.repository": "git@git.example:p.git"}
IMAGE = {"sources.example": "false", "sources.image.reference": "r.example/p"}
TRUST = {
    "insecureUnauthenticatedCallers": "false",
    "tls.existingSecret": "t",
    "callers.spiffe[0].trustDomain": "example.org",
    "callers.spiffe[0].existingConfigMap": "b",
    "callers.spiffe[0].key": "bundle.pem",
    "callers.policies.existingConfigMap": "p",
}
PRIMARY = {**TRUST, "persistence.enabled": "true", "control.enabled": "true", "replicaCount": "1"}
FOLLOWED = {**PRIMARY, "followers.enabled": "true", "followers.existingSecret": "f"}
TOKENS = {
    **{name: value for name, value in FOLLOWED.items() if not name.startswith("callers.spiffe")},
    "callers.issuers[0].issuer": "i",
    "callers.issuers[0].audience": "a",
    "callers.issuers[0].profile": "p",
}
MOUNT = {"extraVolumes[0].name": "v", "extraVolumes[0].secret.secretName": "s", "extraVolumeMounts[0].name": "v"}

# Values that the schema does not let pass, and what it names.
MISSPELT = [
    ({"replicas": "3"}, "replicas"),
    ({"sources.polices.files.a\\.cedar": "x"}, "polices"),
    ({"config.listen.data": "0.0.0.0:1"}, "listen"),
    ({"config.log.mode": "sometimes"}, "mode"),
    ({"config.log.sinks.a.kind": "syslog"}, "kind"),
    ({"config.issuers[0].isuer": "i"}, "issuers"),
    ({"replicaCount": "many"}, "replicaCount"),
    ({"image.digest": "abc"}, "digest"),
    ({"config.shutdown.drain": "1m30s"}, "drain"),
    ({**TRUST, "callers.spiffe[0].trustDomain": "Example.org"}, "trustDomain"),
    ({"kind": "ReplicaSet"}, "kind"),
    ({"sources.git.repository": "http://git.example/p.git"}, "repository"),
    ({"sources.rollout": "sometimes"}, "rollout"),
    ({"followers.spiffeId": "https://e/f"}, "spiffeId"),
    ({"monitoring.serviceMonitor.labels.a.b": "c"}, "labels"),
    ({"persistence.size": "2 GiB"}, "size"),
]

# Values that contradict each other, and what the message must say.
CONTRADICTIONS = [
    ({"insecureUnauthenticatedCallers": "false"}, "nobody could ask"),
    ({**TRUST, "insecureUnauthenticatedCallers": "true"}, "set it to false"),
    ({**TRUST, "tls.existingSecret": ""}, "give tls.existingSecret"),
    ({**TRUST, "callers.policies.existingConfigMap": ""}, "need callers.policies"),
    ({**TRUST, "callers.policies.files.a\\.cedar": "x"}, "remove one of them"),
    ({**TRUST, "callers.policies.existingConfigMap": "", "callers.policies.files.a\\.txt": "x"}, "callers.policies.files: `a.txt` would not be read"),
    ({**TRUST, "callers.spiffe[0].existingConfigMap": ""}, "say where its bundle is"),
    ({**TRUST, "callers.spiffe[0].key": ""}, "which of its entries"),
    ({"callers.policies.existingConfigMap": "c"}, "would not be used"),
    ({"callers.self[0].caller": "spiffe://a/*", "callers.self[0].principal_type": "A"}, "would not be used"),
    ({**TRUST, "tls.spiffe.enabled": "true"}, "tls.existingSecret and tls.spiffe.enabled are given at once"),
    ({"tls.certManager.enabled": "true"}, "needs tls.certManager.issuerRef.name"),
    ({"tls.certManager.renewBefore": "3000h"}, "and after it begins"),
    ({"sources.existingClaim": "c"}, "set sources.example to false"),
    ({**OWN, "sources.example": "true"}, "set sources.example to false"),
    ({**OWN, "sources.existingClaim": "c"}, "sources.policies and sources.existingClaim are both given"),
    ({**GIT, "sources.image.reference": "r"}, "sources.image and sources.git are both given"),
    ({**OWN, "sources.policies.existingConfigMap": "c"}, "remove one of them"),
    ({"sources.emergency.existingConfigMap": "c", "sources.emergency.files.a\\.cedar": "x"}, "remove one of them"),
    ({"sources.revocations.existingConfigMap": "c", "sources.revocations.file": "x"}, "remove one of them"),
    ({"sources.example": "false"}, "there is nothing to decide by"),
    ({"sources.example": "false", "sources.policies.existingConfigMap": "c"}, "there is nothing to decide by"),
    ({**OWN, "sources.policies.files.a\\.txt": "x"}, "call it NAME.cedar"),
    ({**OWN, "sources.policies.files.b/c\\.cedar": "x"}, "letters, digits"),
    ({**OWN, "sources.policies.files.\\.c\\.cedar": "x"}, "would not be read"),
    ({"sources.emergency.files.a\\.json": "x"}, "call it NAME.cedar"),
    ({**GIT, "sources.git.ref": ""}, "name the branch"),
    ({**GIT, "sources.git.image.tag": ""}, "neither tag nor digest"),
    (SSH, "name a Secret with ssh-privatekey"),
    ({**GIT, "sources.rollout": "restart"}, "Set sources.rollout to live"),
    ({"sources.example": "false", "sources.existingClaim": "c", "sources.rollout": "restart"}, "come from sources.existingClaim"),
    ({"sources.example": "false", "sources.policies.existingConfigMap": "c", "sources.schemas.existingConfigMap": "c", "sources.rollout": "restart"}, "Give its files as sources.policies.files"),
    ({"kind": "DaemonSet", "persistence.enabled": "true"}, "or kind to StatefulSet"),
    ({**FOLLOWED, "kind": "DaemonSet", "persistence.enabled": "false"}, "followers follow one primary"),
    ({**FOLLOWED, "kind": "Deployment"}, "Set kind to auto"),
    ({"kind": "Deployment", "persistence.enabled": "true"}, "one process owns a data directory"),
    ({"kind": "Deployment", "persistence.enabled": "true", "replicaCount": "1", "autoscaling.enabled": "true", "autoscaling.minReplicas": "1"}, "one process owns a data directory"),
    ({"persistence.enabled": "true", "persistence.existingClaim": "c"}, "remove the claim, so that each pod"),
    ({"persistence.existingClaim": "c"}, "set persistence.enabled to true"),
    ({**FOLLOWED, "followers.persistence.enabled": "true", "fullnameOverride": "a" * 44}, "set fullnameOverride to something shorter"),
    ({**FOLLOWED, "control.enabled": "false"}, "followers.enabled needs control.enabled"),
    ({**FOLLOWED, "followers.existingSecret": ""}, "something that followers show"),
    ({**FOLLOWED, "followers.existingSecret": "", "followers.spiffeId": "spiffe://e/f"}, "something that followers show"),
    ({**FOLLOWED, "followers.spiffeId": "spiffe://e/f"}, "remove one of them"),
    (TOKENS, "followers.enabled needs callers.spiffe"),
    ({"control.enabled": "true", "persistence.enabled": "true", "replicaCount": "1"}, "control.enabled needs callers"),
    ({**PRIMARY, "persistence.enabled": "false"}, "would be lost with the pod"),
    ({**PRIMARY, "replicaCount": "2"}, "Set followers.enabled to true"),
    ({**PRIMARY, "autoscaling.enabled": "true"}, "autoscaling.enabled true"),
    ({"kind": "DaemonSet", "autoscaling.enabled": "true"}, "a pod for each node"),
    ({"autoscaling.enabled": "true", "autoscaling.minReplicas": "20"}, "the fewest cannot be more"),
    ({"autoscaling.enabled": "true", "autoscaling.targetCPUUtilizationPercentage": "0"}, "nothing to scale by"),
    ({"autoscaling.enabled": "true", "resources.requests.cpu": "null"}, "which is not set"),
    ({"persistence.sizeLimit": "500Mi"}, "persistence.sizeLimit is 500Mi: give the volume more"),
    ({"persistence.enabled": "true", "config.log.retain_bytes": "3000000000"}, "persistence.size is 2Gi"),
    ({"config.cache.max_bytes": "300000000"}, "more than half of resources.limits.memory"),
    ({"resources.limits.memory": "100000000"}, "more than half of resources.limits.memory"),
    ({"monitoring.serviceMonitor.enabled": "true", "monitoring.podMonitor.enabled": "true"}, "counted twice"),
    ({"monitoring.prometheusRule.disabled[0]": "NoSuch"}, "there is no alert `NoSuch`"),
    ({"podLabels.app\\.kubernetes\\.io/name": "x"}, "podLabels: `app.kubernetes.io/name` is set by the chart"),
    ({"podLabels.mandate\\.dev/decides": "x"}, "is set by the chart"),
    ({"podAnnotations.checksum/config": "x"}, "is set by the chart"),
    ({"extraEnv[0].name": "A", "extraEnv[1].name": "A"}, "extraEnv: `A` is there twice"),
    ({"extraEnv[0].name": "MANDATE__LISTEN__DATA"}, "would override what the chart sets"),
    ({"extraVolumes[0].name": "v", "extraVolumes[0].hostPath.path": "/"}, "is a hostPath"),
    ({"extraVolumes[0].name": "tls"}, "the name `tls` is taken"),
    ({"extraVolumes[0].name": "v", "extraVolumes[1].name": "v"}, "the name `v` is taken"),
    ({"extraVolumeMounts[0].name": "v", "extraVolumeMounts[0].mountPath": "/run/v"}, "not one of extraVolumes"),
    ({**MOUNT, "extraVolumeMounts[0].mountPath": "/etc/mandate/policies"}, "the chart's own place"),
]

# Guards that look at the cluster: the version of Kubernetes, and claims that are there (behaviour.py).
VERSIONS = [("1.30", {}, "they came with 1.31"), ("1.34", {}, "set sources.image.featureGate to true")]
ELSEWHERE = ["the claim `%s` of an earlier chart"]


def check(helms):
    """Both Helms have a validator of their own for the schema; of templates, which are the same, they take turns."""
    at_once(lambda one: refused(helms, *one), MISSPELT)
    turns = [([helms[number % len(helms)]], *one) for number, one in enumerate(CONTRADICTIONS)]
    said = [text for texts in at_once(lambda turn: refused(*turn), turns) for text in texts]
    for version, values, expected in VERSIONS:
        said += refused(helms, {**IMAGE, **values}, expected, version)
    gated = Render(helms[-1], flags({**IMAGE, "sources.image.featureGate": "true"}), kubernetes="1.34")
    must(gated.run.returncode == 0, f"image volumes are refused where they are switched on: {gated.run.stderr}")
    with tempfile.NamedTemporaryFile("w", suffix=".cedar") as large:
        large.write("/" * (MIB + 1))
        large.flush()
        said += refused(helms, OWN, "use sources.existingClaim", more=["--set-file", f"sources.policies.files.b\\.cedar={large.name}"])
    met(said)
    print(f"  {len(MISSPELT)} misspelt values and {len(CONTRADICTIONS) + len(VERSIONS) + 1} contradictions are refused, each with its reason")


def refused(helms, values, expected, version="1.37", more=()):
    """What the Helms say. (Helm reads `null` as taking the default out.)"""
    runs = [Render(helm, [*flags(values), *more], kubernetes=version) for helm in helms]
    for run in [render.run for render in runs]:
        must(run.returncode != 0, f"{values} renders")
        must(expected in run.stderr, f"{values} is refused without saying `{expected}`: {run.stderr.strip()}")
    return [render.run.stderr for render in runs]


def met(said):
    """Every message of the templates was seen: a guard that nothing meets may be one that cannot fail."""
    guards = 0
    for file in sorted((CHART / "templates").glob("*.tpl")):
        for message in re.findall(r'\bfail \(?(?:printf )?"((?:[^"\\]|\\.)*)"', file.read_text()):
            guards += 1
            pattern = re.sub(r"%[sdtv]", ".*", re.escape(message).replace("\\%", "%"))
            found = message.startswith(tuple(ELSEWHERE)) or any(re.search(pattern, text) for text in said)
            must(found, f"{file.name}: nothing meets the guard `{message}`")
    must(guards > 40, f"only {guards} guards were found in the templates")
