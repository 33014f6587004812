"""`helm upgrade --reuse-values` from an earlier chart: its values, which know nothing of new ones, still render, and what a
cluster does not let change stays."""

import shutil
import tempfile
from pathlib import Path

from .permutations import CHECKS
from .render import CHART, Failure, Render, must, of_kind, server, volumes

# What an earlier chart's workload can never change.
SELECTOR = {"app.kubernetes.io/name": "mandate", "app.kubernetes.io/instance": "x", "app.kubernetes.io/component": "server"}


def check(helms):
    """Helm puts the earlier chart's defaults in the place of this one's: so does this."""
    for earlier in sorted((CHART / "ci" / "previous").iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            chart = Path(folder) / "mandate"
            shutil.copytree(CHART, chart)
            shutil.copy(earlier / "values.yaml", chart / "values.yaml")
            sets = sorted(earlier.glob("*-values.yaml"))
            for values in sets:
                check_one(helms, chart, values)
        print(f"  {len(sets)} sets of values of chart {earlier.name} render as they are, and keep name, selector and claim")


def check_one(helms, chart, values):
    renders = [Render(helm, ["--values", values], chart) for helm in helms]
    objects = renders[-1].objects()
    must(all(render.objects() == objects for render in renders), f"{values.name}: Helm 3 and Helm 4 render it differently")
    try:
        for one in CHECKS:
            one(objects)
        workload = server(objects)
        name = workload["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
        must(workload["kind"] == "Deployment", f"a Deployment becomes a {workload['kind']}")
        must(workload["spec"]["selector"]["matchLabels"] == {**SELECTOR, "app.kubernetes.io/name": name}, "the selector changes")
        data = volumes(workload)["data"]
        claims = {claim["metadata"]["name"] for claim in of_kind(objects, "PersistentVolumeClaim")} | {"mandate-data"}
        must("emptyDir" in data or data["persistentVolumeClaim"]["claimName"] in claims, "the data is left behind")
        services = [service["spec"]["selector"] for service in of_kind(objects, "Service")]
        must(all(set(selector) == set(SELECTOR) for selector in services), "pods of the earlier chart lose their Service")
    except (Failure, KeyError, IndexError) as error:
        raise Failure(f"{values}: {error!r}") from error
