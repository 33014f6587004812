"""Every value is described: in the schema, and from there in the chart's README; and every key of mandate.toml can be given.

Usage: scripts/chart/documented.py   (writes the README's table)
"""

import json
import re
import sys
from pathlib import Path

import tomli
import yaml

CHART = Path("deploy/helm/mandate")
BEGIN, END = "<!-- values: made by scripts/chart.sh files -->\n", "<!-- end of values -->\n"
# Keys of mandate.toml that are the chart's: it mounts, listens and wires. `X` and all below.
OWN = [
    "sources.policies", "sources.schemas", "sources.entities", "sources.emergency", "sources.revocations", "sources.pep",
    "data", "listen", "log.directory", "log.counters", "tls", "callers", "control", "follow", "followers",
]


def schema():
    return json.loads((CHART / "values.schema.json").read_text())


def member(shape, name):
    """The schema of a member, if it has one of its own."""
    if "$ref" in shape:
        target = schema()
        for step in shape["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        shape = target
    return shape.get("properties", {}).get(name)


def rows():
    """Path, default and description of every value, in the order of values.yaml."""
    def walk(values, shape, path):
        for name, value in values.items():
            found = member(shape, name)
            if found is None or not ("description" in found or "$ref" in found):
                sys.exit(f"chart: values.schema.json does not describe {path}{name}")
            if isinstance(value, dict) and value and ("properties" in found or "$ref" in found):
                yield from walk(value, found, f"{path}{name}.")
            else:
                yield f"{path}{name}", value, found["description"]
    return list(walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema(), ""))


def table():
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, meaning in rows():
        shown = json.dumps(default, ensure_ascii=False).replace("|", "\\|")
        lines.append(f"| `{path}` | `{shown}` | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def readme():
    text = (CHART / "README.md").read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"chart: README.md has no {BEGIN.strip()} … {END.strip()}")
    return text, before + BEGIN + table() + END + after


def options(shape, path=""):
    """Every path that the schema names."""
    for name, inner in shape.get("properties", {}).items():
        yield f"{path}{name}"
        yield from options(inner, f"{path}{name}.")
        yield from options(inner.get("items", {}), f"{path}{name}.")


def keys(value, path=""):
    """Every path in a TOML document, through lists."""
    for inner in value if isinstance(value, list) else []:
        yield from keys(inner, path)
    for name, inner in value.items() if isinstance(value, dict) else []:
        yield f"{path}{name}"
        yield from keys(inner, f"{path}{name}.")


def documented_keys():
    """What docs/configuration.md has, what it shows in comments among it."""
    block = re.search(r"```toml\n(.*?)```", Path("docs/configuration.md").read_text(), re.DOTALL).group(1)
    shown = re.sub(r"^# (\[|\w+ = |\"[^\"]+\" = )", r"\1", block, flags=re.MULTILINE)
    return sorted(set(keys(tomli.loads(shown))))


def check_configuration():
    known = set(options(schema()["properties"]["config"]))
    free = ("log.sinks.", "telemetry.resource.", "log.fields.", "log.witnesses.", "authzen.subjects.", "authzen.resources.", "authzen.actions.", "domain.delegation.", "ext_authz.context.")
    for key in documented_keys():
        own = any(key == one or key.startswith(f"{one}.") for one in OWN)
        if not (own or key in known or key.startswith(free)):
            sys.exit(f"chart: docs/configuration.md has {key}, which config of values.schema.json does not take")


def check_images():
    """What Artifact Hub is told of images is what is installed."""
    values, chart = yaml.safe_load((CHART / "values.yaml").read_text()), yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = {image["image"] for image in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])}
    images = [{**values["image"], "tag": values["image"]["tag"] or chart["appVersion"]}, values["sources"]["git"]["image"], values["test"]["image"]]
    installed = {f"{image['repository']}:{image['tag']}" for image in images}
    if told != installed:
        sys.exit(f"chart: artifacthub.io/images names {sorted(told ^ installed)} and values.yaml does not, or the other way round")
    if "artifacthub.io/signKey" in chart["annotations"]:
        sys.exit("chart: artifacthub.io/signKey is told, and nothing is signed")


def check():
    before, after = readme()
    if before != after:
        sys.exit("chart: README.md is not what values.yaml and values.schema.json say: make chart-files")
    check_configuration()
    check_images()
    print(f"  {len(rows())} values and every key of mandate.toml are described")


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme()[1])
