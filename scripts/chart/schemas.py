"""Whether Kubernetes, the Prometheus operator and cert-manager take what was rendered: no unknown field, no wrong type."""

import copy
import functools
import json
from pathlib import Path

import jsonschema
import kubernetes_validate

from .render import Failure, as_key, must

CRDS = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "crds").glob("*.json")}
OLDEST, NEWEST = "1.27", "1.37"
# Reads and parses two megabytes for each object, unless it is told to remember.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
# Objects that were found valid, by version: most are the same in many permutations.
valid = set()


def check(objects, versions):
    """Every object against every version, and those of other makers against the fields that they know."""
    for made in objects:
        if made["kind"] in CRDS:
            check_custom(made)
            continue
        for version in versions:
            key = (version, as_key(made))
            if key not in valid:
                kubernetes_validate.validate(copy.deepcopy(made), version, strict=True)
                valid.add(key)


def check_custom(made):
    try:
        jsonschema.validate(made, CRDS[made["kind"]])
    except jsonschema.ValidationError as error:
        raise Failure(f"{made['kind']} {made['metadata']['name']}: {error.json_path}: {error.message}") from error


def check_misspelt(made):
    """The schema finds each field of an object when it is misspelt: otherwise it says nothing."""
    for path in fields(made["spec"]):
        broken = copy.deepcopy(made)
        place = broken["spec"]
        for step in path[:-1]:
            place = place[step]
        place[f"{path[-1]}x"] = place.pop(path[-1])
        found = list(jsonschema.Draft7Validator(CRDS[made["kind"]]).iter_errors(broken))
        must(found, f"{made['kind']}: a misspelt {'.'.join(map(str, path))} is not noticed")


def fields(value, path=()):
    """Paths of all members, but of labels and annotations, which may have any name."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from fields(inner, (*path, index))
    if isinstance(value, dict) and (not path or path[-1] not in ["labels", "annotations", "matchLabels"]):
        for name, inner in value.items():
            yield (*path, name)
            yield from fields(inner, (*path, name))
