"""What operators rely on: what replaces pods and what does not, what mandate.toml says by default, and what the notes tell."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .refusals import OWN
from .render import CHART, KINDS, Render, container, flags, must, server, settings, template, workloads


def check(helm):
    live_changes(helm)
    restarts(helm)
    defaults(helm)
    notes(helm)
    older_claim(helm)


def pods(helm, **changed):
    return template(server(Render(helm, flags({**OWN, **changed})).objects()))


def live_changes(helm):
    """A change of mandate.toml replaces the pods; a change of policies does not."""
    before = pods(helm)
    must(before == pods(helm, **{"sources.policies.files.a\\.cedar": "y"}), "a changed policy replaces the pods")
    must(before == pods(helm, **{"sources.policies.files.b\\.cedar": "y"}), "an added policy replaces the pods")
    must(before == pods(helm, **{"sources.emergency.files.a\\.cedar": "y"}), "an emergency forbid replaces the pods")
    after = pods(helm, **{"config.telemetry.level": "debug"})
    must(before != after, "a changed configuration does not replace the pods")
    after["metadata"]["annotations"]["checksum/config"] = before["metadata"]["annotations"]["checksum/config"]
    must(before == after, "the checksum is not all that changed")


def restarts(helm):
    """With sources.rollout a change of policies replaces them too; an emergency forbid never does."""
    chosen = {"sources.rollout": "restart"}
    before = pods(helm, **chosen)
    must(before != pods(helm, **chosen, **{"sources.policies.files.a\\.cedar": "y"}), "a changed policy leaves the pods")
    must(before == pods(helm, **chosen, **{"sources.emergency.files.a\\.cedar": "y"}), "an emergency forbid replaces the pods")
    print("  a changed mandate.toml replaces the pods, changed policies only where they are told to")


def defaults(helm):
    """mandate.toml as the documentation has it, number by number."""
    objects = Render(helm, []).objects()
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
    written = settings(objects, server(objects))
    # As text: 1e3 and 1000 are equal to Python, and different to the server.
    must(json.dumps(written, sort_keys=True) == json.dumps(expected, sort_keys=True), f"mandate.toml is {written}")
    kinds = sorted({made["kind"] for made in objects})
    usual = ["ConfigMap", "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "Service", "ServiceAccount"]
    must(kinds == usual, f"an install makes {kinds}")
    spread = [one["topologyKey"] for one in template(server(objects))["spec"]["topologySpreadConstraints"]]
    must(spread == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"], f"pods are spread over {spread}")
    must("podAntiAffinity" in template(server(objects))["spec"]["affinity"], "pods do not avoid each other")
    print("  mandate.toml is as documented")


WARNINGS = {
    "unauthenticated": "CALLERS ARE NOT AUTHENTICATED",
    "clear": "NOTHING IS ENCRYPTED",
    "example": "THE EXAMPLE DECIDES",
    "lost": "AND THE DECISION LOG",
    "apart": "is unknown to the others",
    "watch": "must permit it the action `watch`",
}
# What is told after installing, by the values of ci/.
TOLD = {
    "default": {"unauthenticated", "clear", "example", "lost", "apart"},
    "own-files": {"unauthenticated", "clear", "lost", "apart"},
    "claim": {"unauthenticated", "clear", "lost", "apart"},
    "daemonset": {"unauthenticated", "clear", "example", "lost", "apart"},
    "unbounded": {"unauthenticated", "clear", "example", "apart"},
    "persistent-file-log": {"unauthenticated", "clear", "example"},
    "callers": {"example", "lost", "apart"},
    "control": {"example"},
    "followers": {"example", "watch"},
}


def notes(helm):
    """Loudly what is insecure, and only what is true. Helm 3 wants a cluster for it."""
    for values, expected in TOLD.items():
        command = [helm, "install", "x", CHART, "--dry-run=client", "--values", CHART / "ci" / f"{values}-values.yaml"]
        run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KUBECONFIG": os.devnull})
        must(run.returncode == 0, f"{values}: no notes: {run.stderr.strip()}")
        text = run.stdout.partition("NOTES:")[2]
        said = {name for name, words in WARNINGS.items() if words in text}
        must(said == expected, f"{values}: the notes say {sorted(said)}, not {sorted(expected)}")
        must("<no value>" not in text and "WHAT NEXT" in text, f"{values}: the notes are broken")
    print("  the notes warn of what is insecure")


# The kinds that a render with a claim has.
SERVED = {
    "/api/v1": ["ConfigMap", "PersistentVolumeClaim", "Pod", "Service", "ServiceAccount"],
    "/apis/apps/v1": ["Deployment", "StatefulSet"],
    "/apis/networking.k8s.io/v1": ["NetworkPolicy"],
    "/apis/policy/v1": ["PodDisruptionBudget"],
}


class Cluster(BaseHTTPRequestHandler):
    """As much of an API server as the look-up of a claim needs."""

    claims = []

    def do_GET(self):
        path = self.path.partition("?")[0]
        found = self.answer(path)
        self.send_response(404 if found is None else 200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        absent = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        self.wfile.write(json.dumps(found or absent).encode())

    def answer(self, path):
        claim = path.removeprefix("/api/v1/namespaces/agents/persistentvolumeclaims/")
        if claim in self.claims:
            return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim, "namespace": "agents"}}
        if path in SERVED:
            version = path.split("/", 2)[2]
            resources = [
                {"kind": kind, "name": f"{kind.lower()}s".replace("policys", "policies"), "singularName": "", "namespaced": True, "verbs": ["get"]}
                for kind in SERVED[path]
            ]
            return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        versions = [path.removeprefix("/apis/") for path in SERVED if path.startswith("/apis/")]
        groups = [
            {"name": version.split("/")[0], "versions": [{"groupVersion": version, "version": "v1"}], "preferredVersion": {"groupVersion": version, "version": "v1"}}
            for version in versions
        ]
        return {
            "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        }.get(path)

    def log_message(self, *_):
        """Says nothing."""


def older_claim(helm):
    """An upgrade never leaves the claim of an earlier chart behind."""
    cluster = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=cluster.serve_forever, daemon=True).start()
    address = ["--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", f"http://127.0.0.1:{cluster.server_port}"]
    values = flags({"persistence.enabled": "true"})
    try:
        fresh = Render(helm, [*values, *address])
        must(fresh.run.returncode == 0, f"a first install is refused: {fresh.run.stderr}")
        Cluster.claims = ["x-mandate"]
        left = Render(helm, [*values, *address])
        must("set persistence.existingClaim to x-mandate" in left.run.stderr, f"the claim is left behind: {left.run.stderr}")
        kept = Render(helm, [*flags({"persistence.enabled": "true", "persistence.existingClaim": "x-mandate", "replicaCount": "1"}), *address])
        must(kept.run.returncode == 0, f"what the message says does not help: {kept.run.stderr}")
        must(container(workloads(kept.objects())[0]), "there is no pod")
    finally:
        Cluster.claims = []
        cluster.shutdown()
        cluster.server_close()
    print("  the claim of an earlier chart is not left behind")
