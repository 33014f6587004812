#!/usr/bin/env python3
"""Renders the chart with every Helm and every set of values in ci/, and checks what comes out.

Usage: scripts/check-chart.py HELM3 HELM4 MANDATE   (from the repository's root, with the Python of target/tools/py)
"""

import base64
import copy
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import kubernetes_validate
import tomli
import yaml

CHART = Path("deploy/helm/mandate")
KUBERNETES = ["1.27", "1.30", "1.33", "1.37"]
# A Secret, in which Helm keeps a release, and a ConfigMap hold 1 MiB.
MIB = 1 << 20
KINDS = ["policies", "schemas", "entities"]
OWN = {"sources.example": "false", "sources.policies.files.a\\.cedar": "x", "sources.schemas.files.a\\.cedarschema": "x"}

TRUST = {
    "insecureUnauthenticatedCallers": "false",
    "tls.existingSecret": "t",
    "callers.spiffe[0].trustDomain": "example.org",
    "callers.spiffe[0].existingConfigMap": "b",
    "callers.spiffe[0].key": "bundle.pem",
    "callers.policies.existingConfigMap": "p",
}

# Values that must not render, and what the message must say.
REFUSED = [
    ({"replicas": "3"}, "replicas"),
    ({"sources.polices.files.a\\.cedar": "x"}, "polices"),
    ({"config.listen.data": "0.0.0.0:1"}, "listen"),
    ({"config.log.mode": "sometimes"}, "mode"),
    ({"config.log.sinks.a.kind": "syslog"}, "kind"),
    ({"replicaCount": "many"}, "replicaCount"),
    ({"image.digest": "abc"}, "digest"),
    ({"config.shutdown.drain": "1m30s"}, "drain"),
    ({"insecureUnauthenticatedCallers": "false"}, "nobody could ask"),
    ({**TRUST, "insecureUnauthenticatedCallers": "true"}, "set it to false"),
    ({**TRUST, "tls.existingSecret": ""}, "needs tls.existingSecret"),
    ({**TRUST, "callers.policies.existingConfigMap": ""}, "needs callers.policies"),
    ({**TRUST, "callers.policies.files.a\\.cedar": "x"}, "remove one of them"),
    ({**TRUST, "callers.policies.existingConfigMap": "", "callers.policies.files.a\\.txt": "x"}, "callers.policies.files: `a.txt` would not be read"),
    ({**TRUST, "callers.spiffe[0].trustDomain": "Example.org"}, "trustDomain"),
    ({"callers.policies.existingConfigMap": "c"}, "callers.spiffe is empty"),
    ({"callers.self[0].caller": "spiffe://a/*", "callers.self[0].principal_type": "A"}, "callers.spiffe is empty"),
    ({"sources.existingClaim": "c"}, "set sources.example to false"),
    ({**OWN, "sources.example": "true"}, "set sources.example to false"),
    ({**OWN, "sources.existingClaim": "c"}, "sources.policies and sources.existingClaim are both given"),
    ({**OWN, "sources.policies.existingConfigMap": "c"}, "remove one of them"),
    ({"sources.emergency.existingConfigMap": "c", "sources.emergency.files.a\\.cedar": "x"}, "remove one of them"),
    ({"sources.example": "false"}, "there is nothing to decide by"),
    ({"sources.example": "false", "sources.policies.existingConfigMap": "c"}, "there is nothing to decide by"),
    ({**OWN, "sources.policies.files.a\\.txt": "x"}, "call it NAME.cedar"),
    ({**OWN, "sources.policies.files.b/c\\.cedar": "x"}, "letters, digits"),
    ({**OWN, "sources.policies.files.\\.c\\.cedar": "x"}, "would not be read"),
    ({"sources.emergency.files.a\\.json": "x"}, "call it NAME.cedar"),
    ({"persistence.enabled": "true"}, "one process owns a data directory"),
    ({"persistence.existingClaim": "c"}, "set persistence.enabled to true"),
    ({"podLabels.app\\.kubernetes\\.io/name": "x"}, "podLabels: `app.kubernetes.io/name` is set by the chart"),
    ({"podAnnotations.checksum/config": "x"}, "is set by the chart"),
]


class Failure(Exception):
    """What is wrong with the chart."""


def must(holds, message):
    if not holds:
        raise Failure(message)


class Render:
    """What one Helm makes of one set of values."""

    def __init__(self, helm, arguments):
        command = [helm, "template", "x", CHART, "--namespace", "agents", *arguments]
        self.run = subprocess.run(command, capture_output=True, text=True)

    def objects(self):
        must(self.run.returncode == 0, f"does not render: {self.run.stderr.strip()}")
        return [found for found in yaml.load_all(self.run.stdout, yaml.CSafeLoader) if found]


def of_kind(objects, kind):
    return [found for found in objects if found["kind"] == kind]


def deployment(objects):
    return of_kind(objects, "Deployment")[0]


def template(objects):
    return deployment(objects)["spec"]["template"]


def container(objects):
    return template(objects)["spec"]["containers"][0]


def config_map(objects, name):
    found = [found for found in of_kind(objects, "ConfigMap") if found["metadata"]["name"] == name]
    return found[0].get("data") or {} if found else None


def settings(objects):
    """mandate.toml as the server will read it."""
    volumes = {volume["name"]: volume for volume in template(objects)["spec"]["volumes"]}
    written = config_map(objects, volumes["config"]["configMap"]["name"])["mandate.toml"]
    try:
        return tomli.loads(written)
    except tomli.TOMLDecodeError as error:
        raise Failure(f"mandate.toml is not TOML: {error}") from error


def matches(selector, labels):
    return all(labels.get(name) == value for name, value in selector.items())


def check_hardening(objects):
    pods = [template(objects)["spec"], *(pod["spec"] for pod in of_kind(objects, "Pod"))]
    for pod in pods:
        must(pod["automountServiceAccountToken"] is False, "a pod has a service account token")
        must(pod["enableServiceLinks"] is False, "a pod gets variables of services")
        context = pod["securityContext"]
        must(context["runAsNonRoot"] is True and context["runAsUser"] == 65532, "a pod may run as root")
        must(context["seccompProfile"] == {"type": "RuntimeDefault"}, "a pod has no seccomp profile")
        for made in pod["containers"]:
            context = made["securityContext"]
            must(context["readOnlyRootFilesystem"] is True, "a root file system can be written")
            must(context["allowPrivilegeEscalation"] is False, "privileges can be gained")
            must(context["capabilities"] == {"drop": ["ALL"]}, "a container keeps capabilities")
    for account in of_kind(objects, "ServiceAccount"):
        must(account["automountServiceAccountToken"] is False, "the service account mounts its token")


def check_container(objects):
    made = container(objects)
    written = settings(objects)
    authenticated = bool(written.get("callers", {}).get("spiffe"))
    insecure = [] if authenticated else ["--insecure-unauthenticated-callers"]
    must(made["args"] == ["serve", "--config=/etc/mandate/mandate.toml", *insecure], f"unexpected arguments {made['args']}")
    must(not authenticated or "tls" in written, "callers are authenticated, and nothing is encrypted")
    for probe, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        asked = made[probe]["httpGet"]
        must((asked["path"], asked["port"]) == (path, 4468), f"{probe} asks {asked}")
    ports = {port["name"]: port["containerPort"] for port in made["ports"]}
    listen = settings(objects)["listen"]
    for name, key in [("grpc", "data"), ("http", "http"), ("ops", "ops")]:
        must(listen[key] == f"0.0.0.0:{ports[name]}", f"port {name} is {ports[name]}, and the server listens on {listen[key]}")
    must(listen["control"].startswith("127.0.0.1:"), "control is to be reached from elsewhere")
    shutdown = {name: int(value.removesuffix("s")) for name, value in settings(objects)["shutdown"].items()}
    seconds = template(objects)["spec"]["terminationGracePeriodSeconds"]
    must(seconds >= shutdown["grace"] + shutdown["drain"] + 10, f"{seconds} s are too short to stop in")


def check_mounts(objects):
    """Every folder that mandate.toml names is mounted whole, and read-only; only the data can be written."""
    made = container(objects)
    volumes = {volume["name"]: volume for volume in template(objects)["spec"]["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in made["volumeMounts"]}
    must({mount["name"] for mount in made["volumeMounts"]} == set(volumes), "volumes and mounts differ")
    for path, mount in mounts.items():
        must("subPath" not in mount or path == "/etc/mandate/mandate.toml", f"{path} is mounted by subPath and would never change")
        must(mount.get("readOnly") is True or path == "/var/lib/mandate", f"{path} can be written")
    sources = settings(objects)["sources"]
    for kind in [*KINDS, "emergency"]:
        folder = Path(sources[kind])
        mounted = str(folder) in mounts or "/etc/mandate/sources" in mounts and folder.parent == Path("/etc/mandate/sources")
        must(mounted or kind == "entities", f"{kind} are read from {folder}, which is not mounted")
    tls, trusted = settings(objects).get("tls", {}), settings(objects).get("callers", {}).get("spiffe", [])
    for file in [*tls.values(), *(trust["bundle"] for trust in trusted)]:
        must(str(Path(file).parent) in mounts, f"{file} is not mounted")
    must(not trusted or sources["pep"] in mounts, "the policies about callers are not mounted")
    must(not tls or volumes["tls"]["secret"]["defaultMode"] == 0o440, "others may read the key")
    must("configMap" in volumes["emergency"], "emergency forbids do not come from a ConfigMap")
    must(not volumes["emergency"]["configMap"].get("optional"), "a pod would start without its emergency forbids")
    must(Path(settings(objects)["data"]["directory"]).parent == Path("/var/lib/mandate"), "the data is not on its volume")
    for volume in volumes.values():
        name = volume.get("configMap", {}).get("name", "")
        must(not name.startswith("x-mandate") or config_map(objects, name) is not None, f"nobody makes ConfigMap {name}")


def check_selection(objects):
    """Services, network policy and budget see the server's pods, and nothing else."""
    served, others = template(objects)["metadata"]["labels"], [pod["metadata"]["labels"] for pod in of_kind(objects, "Pod")]
    selectors = [found["spec"]["selector"] for found in of_kind(objects, "Service")]
    for kind, field in [("Deployment", "selector"), ("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")]:
        selectors += [found["spec"][field]["matchLabels"] for found in of_kind(objects, kind)]
    for selector in selectors:
        must(matches(selector, served), f"{selector} does not select the server")
        must(not any(matches(selector, labels) for labels in others), f"{selector} selects the test")
    spread = [found["labelSelector"]["matchLabels"] for found in template(objects)["spec"].get("topologySpreadConstraints", [])]
    must(all(matches(selector, served) for selector in spread), "the spread counts other pods")


def check_network(objects):
    secured = "tls" in settings(objects)
    for policy in of_kind(objects, "NetworkPolicy"):
        must(policy["spec"]["policyTypes"] == ["Ingress", "Egress"], "the network policy leaves a direction open")
        for rule in policy["spec"]["ingress"]:
            must(rule.get("from"), "a rule without peers lets everybody in")
            must({port["port"] for port in rule["ports"]} <= {4466, 4467, 4468}, "the network policy opens another port")
    for service in of_kind(objects, "Service"):
        must(service["spec"]["type"] == "ClusterIP", "a Service reaches beyond the cluster")
        for port in service["spec"]["ports"]:
            must(port["targetPort"] in ["grpc", "http"], f"a Service leads to {port['targetPort']}")
            spoken = {"grpc": "https" if secured else "kubernetes.io/h2c", "http": "https" if secured else "http"}
            must(port["appProtocol"] == spoken[port["name"]], f"port {port['name']} is marked {port['appProtocol']}")


def check_availability(objects):
    spec = deployment(objects)["spec"]
    claimed = any("persistentVolumeClaim" in volume for volume in template(objects)["spec"]["volumes"] if volume["name"] == "data")
    must(spec["strategy"]["type"] == ("Recreate" if claimed else "RollingUpdate"), "two pods would share a data directory, or an upgrade leave a gap")
    must(claimed or spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, "an upgrade takes a pod away first")
    must(bool(of_kind(objects, "PodDisruptionBudget")) == (spec["replicas"] > 1), "a budget is missing, or blocks the only pod")


def check_sizes(objects, rendered):
    for made in of_kind(objects, "ConfigMap"):
        size = sum(len(name.encode()) + len(text.encode()) for name, text in (made.get("data") or {}).items())
        must(size < MIB, f"{made['metadata']['name']} is {size} bytes; a ConfigMap holds {MIB}")
    files = [base64.b64encode(file.read_bytes()).decode() for file in CHART.rglob("*") if file.is_file()]
    release = json.dumps({"chart": files, "manifest": rendered}).encode()
    size = len(base64.b64encode(base64.b64encode(gzip.compress(release))))
    must(size < MIB * 3 // 4, f"the release is about {size} bytes; a Secret holds {MIB}")


def permutations(helms):
    """Every file of ci/: both Helms agree, Kubernetes takes it, and the checks hold."""
    validated = 0
    for values in sorted((CHART / "ci").glob("*-values.yaml")):
        try:
            three, four = (Render(helm, ["--values", values]) for helm in helms)
            objects = four.objects()
            must(three.objects() == objects, "Helm 3 and Helm 4 render it differently")
            for check in [check_hardening, check_container, check_mounts, check_selection, check_network, check_availability]:
                check(objects)
            check_sizes(objects, four.run.stdout)
            for version in KUBERNETES:
                for made in objects:
                    kubernetes_validate.validate(copy.deepcopy(made), version, strict=True)
                    validated += 1
        except (Failure, kubernetes_validate.ValidationError, KeyError, IndexError) as error:
            raise Failure(f"{values.name}: {error!r}") from error
        print(f"  {values.name.removesuffix('-values.yaml')}: {len(objects)} objects")
    print(f"  {validated} validations against Kubernetes {', '.join(KUBERNETES)}")


def refusals(helms):
    """What cannot work does not render, and the message says why."""
    for values, said in REFUSED:
        flags = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        for helm in helms:
            run = Render(helm, flags).run
            must(run.returncode != 0, f"{values} renders")
            must(said in run.stderr, f"{values} is refused without saying `{said}`: {run.stderr.strip()}")
    with tempfile.NamedTemporaryFile("w", suffix=".cedar") as large:
        large.write("/" * (MIB + 1))
        large.flush()
        flags = [part for name, value in OWN.items() for part in ("--set", f"{name}={value}")]
        for helm in helms:
            run = Render(helm, [*flags, "--set-file", f"sources.policies.files.b\\.cedar={large.name}"]).run
            must(run.returncode != 0 and "use sources.existingClaim" in run.stderr, "a ConfigMap too large renders")
    print(f"  {len(REFUSED) + 1} mistakes are refused, each with its reason")


def rolling(helm):
    """A change of mandate.toml replaces the pods; a change of policies does not."""
    def pods(**changed):
        values = {**OWN, **changed}
        flags = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        return template(Render(helm, flags).objects())
    before = pods()
    must(before == pods(**{"sources.policies.files.a\\.cedar": "y"}), "a changed policy replaces the pods")
    must(before == pods(**{"sources.policies.files.b\\.cedar": "y"}), "an added policy replaces the pods")
    must(before == pods(**{"sources.emergency.files.a\\.cedar": "y"}), "an emergency forbid replaces the pods")
    after = pods(**{"config.telemetry.level": "debug"})
    must(before != after, "a changed configuration does not replace the pods")
    after["metadata"]["annotations"]["checksum/config"] = before["metadata"]["annotations"]["checksum/config"]
    must(before == after, "the checksum is not all that changed")
    print("  a changed mandate.toml replaces the pods, changed policies do not")


def check_defaults(helm):
    """mandate.toml as the documentation has it, number by number."""
    written = settings(Render(helm, []).objects())
    expected = {
        "sources": {**{kind: f"/etc/mandate/{kind}" for kind in [*KINDS, "emergency"]}, "serve_last_known_good": True},
        "data": {"directory": "/var/lib/mandate/data"},
        "listen": {"data": "0.0.0.0:4466", "http": "0.0.0.0:4467", "ops": "0.0.0.0:4468", "control": "127.0.0.1:4469"},
        "reload": {"watch": True, "poll": "1s", "settle": "500ms"},
        "cache": {"enabled": True, "max_bytes": 67108864},
        "log": {
            "mode": "async",
            "queue": 65536,
            "overflow": "drop",
            "segment_bytes": 67108864,
            "retain_bytes": 536870912,
            "sinks": {"stdout": {"kind": "stdout"}},
        },
        "telemetry": {"format": "json", "level": "info"},
        "shutdown": {"grace": "5s", "drain": "20s"},
        "decisions": {"on_policy_error": "deny"},
    }
    # As text: 1e3 and 1000 are equal to Python, and different to the server.
    must(json.dumps(written, sort_keys=True) == json.dumps(expected, sort_keys=True), f"mandate.toml is {written}")
    print("  mandate.toml is as documented")


def notes(helm):
    """What an operator is told after installing: loudly what is insecure, and only what is true. Helm 3 wants a cluster for it."""
    unauthenticated, example, lost = "CALLERS ARE NOT AUTHENTICATED", "THE EXAMPLE DECIDES", "AND THE DECISION LOG"
    told = {
        "default": {unauthenticated, example, lost},
        "own-files": {unauthenticated, lost},
        "claim": {unauthenticated, lost},
        "persistent-file-log": {unauthenticated, example},
        "callers": {example, lost},
    }
    for values, expected in [*told.items(), ("own-files", {unauthenticated})]:
        is_off = values == "own-files" and lost not in expected
        flags = ["--set", "config.log.mode=off"] if is_off else []
        command = [helm, "install", "x", CHART, "--dry-run=client", "--values", CHART / "ci" / f"{values}-values.yaml", *flags]
        run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KUBECONFIG": os.devnull})
        must(run.returncode == 0, f"{values}: no notes: {run.stderr.strip()}")
        text = run.stdout.partition("NOTES:")[2]
        said = {words for words in (unauthenticated, example, lost) if words in text}
        must(said == expected, f"{values}: the notes say {sorted(said)}, not {sorted(expected)}")
    print("  the notes warn of what is insecure")


def lay_out(objects, root):
    """What a pod sees of its ConfigMaps, with the links the kubelet makes, below a folder."""
    for kind in [*KINDS, "emergency"]:
        folder = root / kind
        (folder / "..2026_01_01").mkdir(parents=True)
        (folder / "..data").symlink_to("..2026_01_01")
        for name, text in config_map(objects, f"x-mandate-{kind}").items():
            (folder / "..data" / name).write_text(text)
            (folder / name).symlink_to(Path("..data") / name)
    written = config_map(objects, "x-mandate")["mandate.toml"]
    written = written.replace("/etc/mandate", str(root)).replace("/var/lib/mandate", str(root))
    (root / "mandate.toml").write_text(written)
    (root / "request.json").write_text(config_map(objects, "x-mandate-test")["request.json"])


def decides(helm, mandate):
    """The ConfigMaps load, and the test's request is allowed by them."""
    for values in ["default", "own-files"]:
        objects = Render(helm, ["--values", CHART / "ci" / f"{values}-values.yaml"]).objects()
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            lay_out(objects, root)
            asked = [mandate, "check", "--config", root / "mandate.toml", "--request", root / "request.json"]
            run = subprocess.run(asked, capture_output=True, text=True)
            must(run.returncode == 0, f"{values}: the test's request is not allowed: {run.stdout}{run.stderr}")
    print("  the rendered mandate.toml and ConfigMaps load, and the test's request is allowed")


def documented():
    """The chart's README and the schema name every value."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    readme = (CHART / "README.md").read_text()
    missing = [name for name in values if f"`{name}" not in readme]
    must(not missing, f"README.md says nothing of {', '.join(missing)}")

    def walk(value, shape, path):
        for name, inner in value.items():
            found = shape.get("properties", {}).get(name)
            must(found or not shape.get("additionalProperties") is False, f"values.schema.json does not know {path}{name}")
            must(found is None or found.get("description"), f"values.schema.json does not describe {path}{name}")
            if found and isinstance(inner, dict):
                walk(inner, found, f"{path}{name}.")
    walk(values, schema, "")
    print("  every value is described")


def main(three, four, mandate):
    documented()
    permutations([three, four])
    refusals([three, four])
    rolling(four)
    check_defaults(four)
    notes(four)
    decides(four, mandate)


try:
    main(*sys.argv[1:])
except Failure as failure:
    sys.exit(f"chart: {failure}")
