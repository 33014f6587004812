"""What finds what: Services, budgets, scalers, network policies and monitors see the server's pods, and nothing else."""

import base64
import gzip
import json

from .render import CHART, MIB, container, matches, must, of_kind, role, server, settings, template, volumes, workloads


def labels_of(workload):
    return template(workload)["metadata"]["labels"]


def check_selection(objects):
    found = workloads(objects)
    tests = [pod["metadata"]["labels"] for pod in of_kind(objects, "Pod")]
    for workload in found:
        selector = workload["spec"]["selector"]["matchLabels"]
        selected = [other for other in found if matches(selector, labels_of(other))]
        must(selected == [workload], f"{selector} selects {len(selected)} workloads")
        spread = template(workload)["spec"].get("topologySpreadConstraints", [])
        must(all(matches(one["labelSelector"]["matchLabels"], labels_of(workload)) for one in spread), "the spread counts other pods")
    for service in of_kind(objects, "Service"):
        only = ["server"] if service["metadata"]["name"].endswith("-control") else [role(workload) for workload in found]
        must(selected_roles(found, service["spec"]["selector"]) == only, f"{service['metadata']['name']} leads elsewhere")
    for policy in of_kind(objects, "NetworkPolicy"):
        roles = selected_roles(found, policy["spec"]["podSelector"]["matchLabels"])
        must(roles == [role(workload) for workload in found], f"the network policy holds for {roles} only")
    selectors = [found["spec"]["selector"] for found in of_kind(objects, "Service")]
    selectors += [workload["spec"]["selector"]["matchLabels"] for workload in found]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in of_kind(objects, "NetworkPolicy")]
    must(not any(matches(selector, labels) for selector in selectors for labels in tests), "a test's pod is selected")


def selected_roles(found, selector):
    return [role(workload) for workload in found if matches(selector, labels_of(workload))]


def check_network(objects):
    secured = "tls" in settings(objects, server(objects))
    ports = {port["name"]: port["containerPort"] for workload in workloads(objects) for port in container(workload)["ports"]}
    for policy in of_kind(objects, "NetworkPolicy"):
        must(policy["spec"]["policyTypes"] == ["Ingress", "Egress"], "the network policy leaves a direction open")
        for rule in policy["spec"]["ingress"]:
            must(rule.get("from"), "a rule without peers lets everybody in")
            must({port["port"] for port in rule["ports"]} <= set(ports.values()), "the network policy opens another port")
        for rule in policy["spec"]["egress"] or []:
            must(rule.get("ports"), "a rule without ports lets everything out")
    for service in of_kind(objects, "Service"):
        must(service["spec"]["type"] == "ClusterIP", "a Service reaches beyond the cluster")
        for port in service["spec"]["ports"]:
            must(port["targetPort"] in ports, f"a Service leads to {port['targetPort']}")
            https = "https" if secured else None
            spoken = {"grpc": https or "kubernetes.io/h2c", "http": https or "http", "control": "https", "ops": "http"}
            must(port["appProtocol"] == spoken[port["name"]], f"port {port['name']} is marked {port['appProtocol']}")
        local = service["spec"].get("internalTrafficPolicy") == "Local"
        alone = service["spec"].get("clusterIP") != "None" and port["name"] != "control"
        must(local == (alone and server(objects)["kind"] == "DaemonSet"), "a node asks another, or has nobody to ask")


def check_reach(objects):
    """Whatever address the configuration names, the network policy has its port."""
    written = settings(objects, server(objects))
    log = written.get("log", {})
    urls = [sink.get("url") for sink in log.get("sinks", {}).values()] + [one.get("url") for one in log.get("witnesses", [])]
    urls += [url for sink in log.get("sinks", {}).values() for url in sink.get("servers", [])]
    urls += [one.get("jwks_url") for one in [*written.get("issuers", []), *written.get("callers", {}).get("issuers", [])]]
    telemetry = written.get("telemetry", {})
    urls += [telemetry.get(name, {}).get("url") for name in ["traces", "metrics"]]
    arguments = [argument for made in template(server(objects))["spec"]["containers"] for argument in made["args"]]
    repositories = [argument.removeprefix("--repo=") for argument in arguments if argument.startswith("--repo=")]
    urls += [url if "://" in url else "ssh://git" for url in repositories]
    for policy in of_kind(objects, "NetworkPolicy"):
        opened = {port["port"] for rule in policy["spec"]["egress"] or [] for port in rule["ports"]}
        for url in filter(None, urls):
            port = url.split("://")[1].split("/")[0].partition(":")[2]
            must(int(port or {"http": 80, "https": 443, "ssh": 22}[url.split(":")[0]]) in opened, f"{url} cannot be reached")
        must("follow" not in [key for one in workloads(objects) for key in settings(objects, one)] or 4469 in opened, "followers cannot reach the primary")
        must(not any(urls) or 53 in opened, "names cannot be looked up")


def check_availability(objects):
    scaled = {scaler["spec"]["scaleTargetRef"]["name"]: scaler["spec"] for scaler in of_kind(objects, "HorizontalPodAutoscaler")}
    budgets = {budget["metadata"]["name"]: budget["spec"]["selector"]["matchLabels"] for budget in of_kind(objects, "PodDisruptionBudget")}
    for workload in workloads(objects):
        name, spec, kind = workload["metadata"]["name"], workload["spec"], workload["kind"]
        data = volumes(workload)["data"]
        claimed = "persistentVolumeClaim" in data
        if kind == "Deployment":
            must(spec["strategy"]["type"] == ("Recreate" if claimed else "RollingUpdate"), "two pods would share a data directory, or an upgrade leave a gap")
        if kind != "StatefulSet":
            rolling = spec.get("strategy", spec.get("updateStrategy")).get("rollingUpdate")
            must(claimed or rolling["maxUnavailable"] == 0, "an upgrade takes a pod away first")
        must(("replicas" in spec) == (kind != "DaemonSet" and name not in scaled), f"{name}: who scales it is not clear")
        least = scaled[name]["minReplicas"] if name in scaled else spec.get("replicas", 1)
        must(not claimed or least <= 1, f"{name}: {least} pods share a claim")
        must(name not in budgets or least > 1, f"{name}: a budget blocks the only pod")
        must(name in budgets or least < 2 or not budgets or kind == "DaemonSet", f"{name}: a budget is missing")
        must(name not in budgets or matches(budgets[name], labels_of(workload)), f"{name}: the budget is another's")
        must(name not in scaled or scaled[name]["scaleTargetRef"]["kind"] == kind, f"{name} is scaled as something else")
    must(set(scaled) | set(budgets) <= {workload["metadata"]["name"] for workload in workloads(objects)}, "something is scaled that is not there")


def check_writes(objects):
    """What is written at run time has one home, and survives."""
    primary = server(objects)
    if "control" in settings(objects, primary):
        must(primary["spec"]["replicas"] == 1, "several pods take writes")
        must("emptyDir" not in volumes(primary)["data"], "what is written is lost with the pod")
    for follower in [workload for workload in workloads(objects) if role(workload) == "follower"]:
        followed = settings(objects, follower)["follow"]["primary"]
        services = {f"https://{service['metadata']['name']}.agents.svc:{service['spec']['ports'][0]['port']}" for service in of_kind(objects, "Service")}
        must(followed in services and "-control." in followed, f"{followed} is no Service")


def check_monitors(objects):
    monitors = of_kind(objects, "ServiceMonitor") + of_kind(objects, "PodMonitor")
    must(len(monitors) < 2, "every figure is counted twice")
    for monitor in monitors:
        selector, job = monitor["spec"]["selector"]["matchLabels"], monitor["spec"]["jobLabel"]
        must(all(labels_of(workload)[job] == "x" for workload in workloads(objects)), "releases are taken for one job")
        if monitor["kind"] == "PodMonitor":
            scraped = workloads(objects)
            must(selected_roles(scraped, selector) == [role(workload) for workload in scraped], "pods are not scraped")
            continue
        scraped = [service for service in of_kind(objects, "Service") if matches(selector, service["metadata"]["labels"])]
        named = [[port["name"] for port in service["spec"]["ports"]] for service in scraped]
        must(named == [[endpoint["port"] for endpoint in monitor["spec"]["endpoints"]]], f"the monitor finds {named}")


def check_certificates(objects):
    """Certificates that are asked for are mounted, and hold the names that clients use."""
    found = of_kind(objects, "Certificate")
    secrets = {volume["secret"]["secretName"] for workload in workloads(objects) for volume in volumes(workload).values() if "secret" in volume}
    for made in found:
        must(made["spec"]["secretName"] in secrets, f"nobody uses {made['spec']['secretName']}")
        names = made["spec"].get("dnsNames")
        for service in of_kind(objects, "Service"):
            name = service["metadata"]["name"]
            must(names is None or name.endswith("-metrics") or f"{name}.agents.svc" in names, f"the certificate is not for {name}")


def check_sizes(objects):
    for made in of_kind(objects, "ConfigMap"):
        size = sum(len(name.encode()) + len(text.encode()) for name, text in (made.get("data") or {}).items())
        must(size < MIB, f"{made['metadata']['name']} is {size} bytes; a ConfigMap holds {MIB}")


def check_release(rendered):
    """Helm keeps chart and manifest in a Secret."""
    files = [base64.b64encode(file.read_bytes()).decode() for file in CHART.rglob("*") if file.is_file()]
    release = json.dumps({"chart": files, "manifest": rendered}).encode()
    size = len(base64.b64encode(base64.b64encode(gzip.compress(release))))
    must(size < MIB * 3 // 4, f"the release is about {size} bytes; a Secret holds {MIB}")


def check_names(objects):
    names = [(made["kind"], made["metadata"]["name"]) for made in objects]
    must(len(names) == len(set(names)), "two objects have one name")
    longest = {"Service": 63, "StatefulSet": 52}
    must(all(len(name) <= longest.get(kind, 253) for kind, name in names), "a name is too long")
