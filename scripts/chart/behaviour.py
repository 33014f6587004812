"""What operators rely on: what replaces pods and what does not, what mandate.toml says by default, and what the notes tell."""

import json
import os
import subprocess

from .refusals import OWN
from .render import CHART, KINDS, Render, flags, must, of_kind, server, settings, template


def check(helm):
    live_changes(helm)
    restarts(helm)
    defaults(helm)
    notes(helm)
    alerts(helm)


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


def alerts(helm):
    """Alerts that are not wanted are left out, and the others lead to the runbook where it is kept."""
    every = rules(Render(helm, flags({"monitoring.prometheusRule.enabled": "true"})))
    first = next(rule["alert"] for rule in every if "alert" in rule)
    chosen = {"enabled": "true", "disabled[0]": first, "runbookBase": "https://wiki.example/mandate/"}
    fewer = rules(Render(helm, flags({f"monitoring.prometheusRule.{name}": value for name, value in chosen.items()})))
    must([rule.get("alert", rule.get("record")) for rule in every if rule.get("alert") != first] == [rule.get("alert", rule.get("record")) for rule in fewer], f"{first} is not all that is left out")
    led = [rule["annotations"]["runbook_url"] for rule in fewer if "runbook_url" in rule.get("annotations", {})]
    must(all(url.startswith("https://wiki.example/mandate/docs/") for url in led), f"the runbook is elsewhere: {led[:1]}")
    print(f"  {len(every)} rules, of which alerts can be left out")


def rules(render):
    found = of_kind(render.objects(), "PrometheusRule")
    return [rule for group in found[0]["spec"]["groups"] for rule in group["rules"]]


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
