"""Every two switches together: what can work renders and passes every check, what cannot is refused, and the chart knows which.

`possible` says the same as the chart's `_checks.tpl`, in other words: where the two disagree, one is wrong.
"""

import itertools
import random

from . import permutations
from .render import Render, at_once, must

OWN = {"files": {"a.cedar": "permit (principal, action, resource);"}}
SCHEMA = {"files": {"a.cedarschema": "entity A;"}}
GIT = {"repository": "https://git.example/p.git", "existingSecret": "git"}
IMAGE = {"reference": "registry.example/p@sha256:0"}
SPIFFE = {"spiffe": [{"trustDomain": "example.org", "existingConfigMap": "b", "key": "k"}]}
ISSUERS = {"issuers": [{"issuer": "https://i.example", "audience": "a", "profile": "rfc8693", "jwks_url": "https://i.example/k"}]}
PEP = {"policies": {"existingConfigMap": "pep"}}
MANAGED = {"certManager": {"enabled": True, "issuerRef": {"name": "i"}}}
VOLUME = {"extraVolumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 0o440}}]}
MOUNT = {"extraVolumeMounts": [{"name": "v", "mountPath": "/run/v", "readOnly": True}]}

# What each switch writes into the values.
SWITCHES = {
    "kind": {kind: {"kind": kind} for kind in ["auto", "Deployment", "StatefulSet", "DaemonSet"]},
    "sources": {
        "example": {},
        "files": {"sources": {"example": False, "policies": OWN, "schemas": SCHEMA}},
        "existing": {"sources": {"example": False, "policies": {"existingConfigMap": "p"}, "schemas": {"existingConfigMap": "s"}}},
        "claim": {"sources": {"example": False, "existingClaim": "c"}},
        "image": {"sources": {"example": False, "image": IMAGE}},
        "git": {"sources": {"example": False, "git": GIT}},
    },
    "rollout": {rollout: {"sources": {"rollout": rollout}} for rollout in ["live", "restart"]},
    "tls": {
        "none": {},
        "secret": {"tls": {"existingSecret": "t"}},
        "managed": {"tls": MANAGED},
        "spiffe": {"tls": {"spiffe": {"enabled": True}}},
    },
    "callers": {
        "open": {},
        "spiffe": {"insecureUnauthenticatedCallers": False, "callers": {**SPIFFE, **PEP}},
        "issuers": {"insecureUnauthenticatedCallers": False, "callers": {**ISSUERS, **PEP}},
    },
    "persistence": {
        "off": {},
        "own": {"persistence": {"enabled": True}},
        "existing": {"persistence": {"enabled": True, "existingClaim": "data"}},
    },
    "control": {"off": {}, "on": {"control": {"enabled": True}}},
    "followers": {
        "none": {},
        "passing": {"followers": {"enabled": True}},
        "keeping": {"followers": {"enabled": True, "persistence": {"enabled": True}}},
    },
    "shown": {"none": {}, "id": {"followers": {"spiffeId": "spiffe://e/f"}}, "secret": {"followers": {"existingSecret": "f"}}},
    "scaling": {"off": {}, "on": {"autoscaling": {"enabled": True}}},
    "replicas": {"one": {"replicaCount": 1}, "three": {"replicaCount": 3}},
    "network": {"on": {}, "off": {"networkPolicy": {"enabled": False}}, "bare": {"networkPolicy": {"callers": [], "ops": []}}},
    "monitor": {
        "none": {},
        "service": {"monitoring": {"serviceMonitor": {"enabled": True}}},
        "pod": {"monitoring": {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}},
    },
    "budget": {"on": {}, "off": {"podDisruptionBudget": {"enabled": False}}},
    "apart": {apart: {"podAntiAffinity": apart} for apart in ["soft", "hard", "none"]},
    "account": {"own": {}, "other": {"serviceAccount": {"create": False}}},
    "extras": {"none": {}, "some": {**VOLUME, **MOUNT, "extraEnv": [{"name": "A", "value": "b"}], "priorityClassName": "p"}},
}


def possible(chosen):
    """Whether it can work."""
    authenticated, following = chosen["callers"] != "open", chosen["followers"] != "none"
    scaled = chosen["scaling"] == "on" and not following
    several = scaled or chosen["replicas"] == "three" and not following
    keeps, daemon = chosen["persistence"] != "off", chosen["kind"] == "DaemonSet"
    return all([
        chosen["tls"] != "none" or not authenticated,
        chosen["rollout"] == "live" or chosen["sources"] in ["example", "files", "image"],
        not daemon or not (keeps or following or scaled),
        chosen["kind"] != "Deployment" or not following,
        chosen["kind"] != "Deployment" or not keeps or not several,
        chosen["persistence"] != "existing" or not several,
        chosen["control"] == "off" or authenticated and keeps and not several,
        not following or chosen["control"] == "on" and chosen["callers"] == "spiffe",
        not following or chosen["shown"] == "secret" or chosen["shown"] == "id" and chosen["tls"] == "managed",
    ])


def values(chosen):
    """The values that the switches make together."""
    together = {}
    for name, choice in chosen.items():
        merge(together, SWITCHES[name][choice])
    return together


def merge(into, more):
    for name, value in more.items():
        if isinstance(value, dict):
            merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


def completed(pair, generator, missing):
    """A possible choice of all switches that has the pair, and as many missing pairs as a few attempts find; none, if there is none."""
    best = None
    for _ in range(400):
        chosen = {name: generator.choice(list(choices)) for name, choices in SWITCHES.items()}
        chosen.update(pair)
        if possible(chosen):
            found = len(missing & pairs(chosen))
            if best is None or found > best[0]:
                best = (found, chosen)
    return best and best[1]


def pairs(chosen):
    return {frozenset(pair) for pair in itertools.combinations(sorted(chosen.items()), 2)}


def covering(generator):
    """Possible choices in which every two switches meet in every way that is possible, and the ways that are not."""
    covered, impossible = [], []
    ways = [[(name, choice) for choice in choices] for name, choices in SWITCHES.items()]
    missing = {frozenset(pair) for one, other in itertools.combinations(ways, 2) for pair in itertools.product(one, other)}
    for pair in sorted(missing, key=sorted):
        if pair in missing:
            chosen = completed(dict(pair), generator, missing)
            missing -= pairs(chosen) if chosen else {pair}
            (covered if chosen else impossible).append(chosen or dict(pair))
    return covered, impossible


def nearly(chosen, generator):
    """The same with two switches set by chance: close to where what can work ends."""
    return {**chosen, **{name: generator.choice(list(SWITCHES[name])) for name in generator.sample(list(SWITCHES), 2)}}


def check(helms):
    """Always the same choices: what failed once fails again. The Helms take turns; ci/ is rendered by both."""
    generator = random.Random(1)
    covered, impossible = covering(generator)
    at_once(lambda one: permutations.check_one([helms[one[0] % len(helms)]], one[1], [], values(one[1])), list(enumerate(covered)))
    others = [{**generator.choice(covered), **pair} for pair in impossible]
    others += [nearly(generator.choice(covered), generator) for _ in range(40)]

    def is_refused(one):
        number, chosen = one
        run = Render(helms[number % len(helms)], [], values=values(chosen)).run
        must((run.returncode == 0) == possible(chosen), f"{chosen}: {run.stderr.strip() or 'renders'}")
        return run.returncode != 0
    refused = sum(at_once(is_refused, list(enumerate(others))))
    print(f"  {len(covered)} permutations in which every two of {len(SWITCHES)} switches meet; of {len(others)} others, {refused} are refused, as they should be")
