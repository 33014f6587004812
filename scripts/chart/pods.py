"""What pods are: hardened, started right, and with every folder that mandate.toml names."""

from pathlib import Path

from .render import KINDS, config_map, container, must, of_kind, pod_specs, role, settings, template, volumes, workloads

# What a pod must never have.
HOST = ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"]
# Users of the images: Mandate's and curl's tests, and git-sync's, which ssh must know by name.
USERS = {"git-sync": 65533, "git-sync-first": 65533}


def check_hardening(objects):
    for pod in pod_specs(objects):
        must(pod["automountServiceAccountToken"] is False, "a pod has a service account token")
        must(pod["enableServiceLinks"] is False, "a pod gets variables of services")
        must(not any(pod.get(name) for name in HOST), "a pod shares something of its host")
        context = pod["securityContext"]
        must(context["runAsNonRoot"] is True and context["runAsUser"] == 65532, "a pod may run as root")
        must(context["seccompProfile"] == {"type": "RuntimeDefault"}, "a pod has no seccomp profile")
        for volume in pod.get("volumes", []):
            must("hostPath" not in volume, f"volume {volume['name']} is a path of the host")
            must("sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), f"volume {volume['name']} has no limit")
            mode = volume.get("secret", {}).get("defaultMode", 0o440)
            must(mode == 0o440, f"others may read the Secret of volume {volume['name']}")
        for made in [*pod["containers"], *pod.get("initContainers", [])]:
            check_confinement(made)
    for account in of_kind(objects, "ServiceAccount"):
        must(account["automountServiceAccountToken"] is False, "the service account mounts its token")


def check_confinement(made):
    name, context = made["name"], made["securityContext"]
    must(context["readOnlyRootFilesystem"] is True, f"{name}: a root file system can be written")
    must(context["allowPrivilegeEscalation"] is False, f"{name}: privileges can be gained")
    must(context["runAsNonRoot"] is True and context.get("runAsUser") == USERS.get(name), f"{name}: runs as somebody else")
    must(context["capabilities"] == {"drop": ["ALL"]}, f"{name}: keeps capabilities")
    must("privileged" not in context and "procMount" not in context, f"{name}: has more than it needs")
    must(all("hostPort" not in port for port in made.get("ports", [])), f"{name}: has a port of the host")


def check_resources(objects):
    """With values that do not say otherwise, nothing is without bounds."""
    for pod in pod_specs(objects):
        for made in [*pod["containers"], *pod.get("initContainers", [])]:
            resources = made["resources"]
            must({"cpu", "memory"} <= set(resources["requests"]), f"{made['name']} asks for no place")
            must("memory" in resources["limits"], f"{made['name']} may take all memory")


def check_containers(objects):
    for workload in workloads(objects):
        check_container(objects, workload)


def check_container(objects, workload):
    made, written = container(workload), settings(objects, workload)
    callers = written.get("callers", {})
    authenticated = bool(callers.get("spiffe") or callers.get("issuers"))
    insecure = [] if authenticated else ["--insecure-unauthenticated-callers"]
    must(made["args"] == ["serve", "--config=/etc/mandate/mandate.toml", *insecure], f"unexpected arguments {made['args']}")
    must(not authenticated or "tls" in written, "callers are authenticated, and nothing is encrypted")
    for probe, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        asked = made[probe]["httpGet"]
        must((asked["path"], asked["port"]) == (path, 4468), f"{probe} asks {asked}")
    ports = {port["name"]: port["containerPort"] for port in made["ports"]}
    for name, key in [("grpc", "data"), ("http", "http"), ("ops", "ops"), ("control", "control")]:
        listening = written["listen"][key]
        if name in ports:
            must(listening == f"0.0.0.0:{ports[name]}", f"port {name} is {ports[name]}, and the server listens on {listening}")
        else:
            must(listening.startswith("127.0.0.1:"), f"{name} is to be reached from elsewhere, and is no port")
    must("control" not in ports or written["control"] == {"callers": True} and authenticated, "anybody may give commands")
    must(("follow" in written) == (role(workload) == "follower"), "who follows is mixed up")
    shutdown = {name: int(value.removesuffix("s")) for name, value in written["shutdown"].items()}
    seconds = template(workload)["spec"]["terminationGracePeriodSeconds"]
    must(seconds >= shutdown["grace"] + shutdown["drain"] + 10, f"{seconds} s are too short to stop in")


def check_mounts(objects):
    for workload in workloads(objects):
        check_mounted(objects, workload)


def check_mounted(objects, workload):
    """Every file that mandate.toml names is mounted whole, and read-only; only the data can be written."""
    pod, made, written = template(workload)["spec"], container(workload), settings(objects, workload)
    found = volumes(workload)
    mounts = {mount["mountPath"]: mount for mount in made["volumeMounts"]}
    used = {mount["name"] for one in [*pod["containers"], *pod.get("initContainers", [])] for mount in one["volumeMounts"]}
    must(used == set(found), f"volumes and mounts differ: {sorted(used ^ set(found))}")
    for path, mount in mounts.items():
        must("subPath" not in mount or path == "/etc/mandate/mandate.toml", f"{path} is mounted by subPath and would never change")
        must(mount.get("readOnly") is True or path == "/var/lib/mandate", f"{path} can be written")

    def mounted(path):
        return any(str(folder) in mounts for folder in [Path(path), *Path(path).parents])
    for name, path in written["sources"].items():
        if name == "revocations" and "sources" not in found or name in [*KINDS, "emergency", "pep"]:
            must(mounted(path) or name == "entities", f"{name} are read from {path}, which is not mounted")
    tls, trusted = written.get("tls", {}), written.get("callers", {}).get("spiffe", [])
    shown = [path for name, path in written.get("follow", {}).items() if name != "primary"]
    for path in [*tls.values(), *shown, *(trust["bundle"] for trust in trusted if "bundle" in trust)]:
        must(mounted(path.removeprefix("unix://")), f"{path} is not mounted")
    must(not trusted or mounted(written["sources"]["pep"]), "the policies about callers are not mounted")
    must(Path(written["data"]["directory"]).parent == Path("/var/lib/mandate"), "the data is not on its volume")
    for volume in found.values():
        name = volume.get("configMap", {}).get("name", "")
        must(not name.startswith("x-mandate") or config_map(objects, name) is not None, f"nobody makes ConfigMap {name}")
    check_link(pod, written)
    if role(workload) == "server":
        must("configMap" in found["emergency"], "emergency forbids do not come from a ConfigMap")
        must(not found["emergency"]["configMap"].get("optional"), "a pod would start without its emergency forbids")
    else:
        must(not set(found) & {*KINDS, "emergency", "sources"}, "a follower has sources of its own")


def check_link(pod, written):
    """The server reads through the link that git-sync moves, and waits for nothing that was there before it."""
    for made in [*pod["containers"], *pod.get("initContainers", [])]:
        if made["name"] in USERS:
            given = dict(argument.lstrip("-").partition("=")[::2] for argument in made["args"])
            mounted = [mount["name"] for mount in made["volumeMounts"] if mount["mountPath"] == given["root"]]
            must(mounted == ["sources"], f"{made['name']} writes to {mounted}")
            place = f"/etc/mandate/sources/{given['link']}/"
            must(written["sources"]["policies"].startswith(place), f"{made['name']} moves {place}, which is not read")
