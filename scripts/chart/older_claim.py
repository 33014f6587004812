"""An upgrade never leaves the claim of an earlier chart behind: the templates look it up in the cluster, of which this has a little."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .render import Render, flags, must, server

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


def check(helm):
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
        must(server(kept.objects())["kind"] == "Deployment", "two pods would share the claim for a while")
    finally:
        Cluster.claims = []
        cluster.shutdown()
        cluster.server_close()
    print("  the claim of an earlier chart is not left behind")
