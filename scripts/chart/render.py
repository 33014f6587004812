"""What Helm makes of a set of values, and how to find things in it."""

import functools
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tomli
import yaml

CHART = Path("deploy/helm/mandate")
# A Secret, in which Helm keeps a release, and a ConfigMap hold 1 MiB.
MIB = 1 << 20
KINDS = ["policies", "schemas", "entities"]
WORKLOADS = ["Deployment", "StatefulSet", "DaemonSet"]
# What is asked for where nothing says otherwise.
KUBERNETES = "1.37"


class Failure(Exception):
    """What is wrong with the chart."""


def must(holds, message):
    if not holds:
        raise Failure(message)


def flags(values):
    """Values as Helm's --set takes them."""
    return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


class Render:
    """What one Helm makes of one set of values. It begins at once, so that several can be under way."""

    def __init__(self, helm, arguments, chart=CHART, kubernetes=KUBERNETES, values=None):
        command = [helm, "template", "x", chart, "--namespace", "agents", "--kube-version", f"{kubernetes}.0", *arguments]
        if values is not None:
            command += ["--values", "-"]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.values = yaml.dump(values or {})

    @functools.cached_property
    def run(self):
        output, said = self.process.communicate(self.values)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, output, said)

    def objects(self):
        must(self.run.returncode == 0, f"does not render: {self.run.stderr.strip()}")
        return [found for found in yaml.load_all(self.run.stdout, yaml.CSafeLoader) if found]


def at_once(work, items):
    """What `work` makes of each, two at a time: most of it is waiting for Helm."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, items))


def of_kind(objects, kind):
    return [found for found in objects if found["kind"] == kind]


def workloads(objects):
    return [found for found in objects if found["kind"] in WORKLOADS]


def server(objects):
    """The workload that has the sources: the primary, where there are followers."""
    return [found for found in workloads(objects) if role(found) == "server"][0]


def role(workload):
    return workload["metadata"]["labels"]["app.kubernetes.io/component"]


def template(workload):
    return workload["spec"]["template"]


def container(workload):
    return template(workload)["spec"]["containers"][0]


def pod_specs(objects):
    """The spec of every pod there is: of workloads and of tests."""
    return [template(found)["spec"] for found in workloads(objects)] + [pod["spec"] for pod in of_kind(objects, "Pod")]


def volumes(workload):
    """A pod's volumes by name, those of templates of claims among them."""
    found = {volume["name"]: volume for volume in template(workload)["spec"]["volumes"]}
    claims = workload["spec"].get("volumeClaimTemplates", [])
    return {**found, **{claim["metadata"]["name"]: claim for claim in claims}}


def config_map(objects, name):
    found = [found for found in of_kind(objects, "ConfigMap") if found["metadata"]["name"] == name]
    return found[0].get("data") or {} if found else None


def settings(objects, workload):
    """mandate.toml as that workload's server will read it."""
    written = config_map(objects, volumes(workload)["config"]["configMap"]["name"])["mandate.toml"]
    try:
        return tomli.loads(written)
    except tomli.TOMLDecodeError as error:
        raise Failure(f"mandate.toml is not TOML: {error}") from error


def matches(selector, labels):
    return all(labels.get(name) == value for name, value in selector.items())


def as_key(made):
    return json.dumps(made, sort_keys=True)
