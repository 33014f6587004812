"""Every file of ci/: both Helms agree, Kubernetes takes it, and the checks hold."""

import kubernetes_validate

from . import pods, schemas, wiring
from .render import CHART, Failure, Render, at_once, must, volumes, workloads

CHECKS = [
    pods.check_hardening,
    pods.check_containers,
    pods.check_mounts,
    wiring.check_selection,
    wiring.check_network,
    wiring.check_reach,
    wiring.check_availability,
    wiring.check_writes,
    wiring.check_monitors,
    wiring.check_certificates,
    wiring.check_names,
    wiring.check_sizes,
]


def check(helms):
    kinds = set()
    files = sorted((CHART / "ci").glob("*-values.yaml"))
    names = [file.name.removesuffix("-values.yaml") for file in files]
    for name, objects in zip(names, at_once(lambda file: check_one(helms, file.name, ["--values", file]), files)):
        kinds |= {made["kind"] for made in objects}
        for made in [made for made in objects if made["kind"] in schemas.CRDS]:
            schemas.check_misspelt(made)
        if name in ["default", "daemonset", "statefulset", "git", "followers"]:
            pods.check_resources(objects)
    wiring.check_release(Render(helms[-1], ["--values", CHART / "ci" / "everything-values.yaml"]).run.stdout)
    must(set(schemas.CRDS) <= kinds, f"no values of ci/ render {sorted(set(schemas.CRDS) - kinds)}")
    print(f"  {len(files)} sets of values: {', '.join(sorted(kinds))}")


def check_one(helms, name, arguments, values=None):
    """What they render, after everything was looked at."""
    try:
        renders = [Render(helm, arguments, values=values) for helm in helms]
        objects = renders[-1].objects()
        must(all(render.objects() == objects for render in renders[:-1]), "Helm 3 and Helm 4 render it differently")
        schemas.check(objects, versions(objects))
        for one in CHECKS:
            one(objects)
    except (Failure, kubernetes_validate.ValidationError, KeyError, IndexError, AttributeError) as error:
        raise Failure(f"{name}: {error!r}") from error
    return objects


def versions(objects):
    """The oldest and the newest Kubernetes that may have it."""
    image = any("image" in volume for workload in workloads(objects) for volume in volumes(workload).values())
    return ["1.31" if image else schemas.OLDEST, schemas.NEWEST]
