"""Somebody else's idea of a hardened chart: checkov over a few renders put together, with few exceptions, each for a reason."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from .render import CHART, Render, must

# What is looked at: each kind of workload, and everything that stands beside them.
RENDERS = ["daemonset", "git-ssh-persistent", "followers", "image"]
EXCEPTIONS = {
    "CKV_K8S_11": "a limit on the processor would turn bursts into late answers; requests are set",
    "CKV_K8S_43": "digests are values; the default image is the operator's own build",
    "CKV_K8S_15": "IfNotPresent lets pods start while the registry is away",
}
PROBES = ["CKV_K8S_8", "CKV_K8S_9"]
# Pods of tests live for seconds, and listen to nobody.
EXCEPTIONS_OF_TESTS = [*PROBES, "CKV2_K8S_6"]
# Beside git-sync: a repository that is away must not make a pod unready that serves what it fetched before. (pods.py looks
# at the probes of the server.)
EXCEPTIONS_OF_GIT = PROBES


def check(helm, program):
    if not program or not Path(program).exists():
        must(not os.environ.get("CI"), "checkov is not installed: make chart installs it")
        print("  SKIPPED: checkov is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        for values in RENDERS:
            text = Render(helm, ["--values", CHART / "ci" / f"{values}-values.yaml"]).run.stdout
            (Path(folder) / f"{values}.yaml").write_text(text)
        command = [program, "--directory", folder, "--framework", "kubernetes", "--output", "json", "--quiet", "--compact", "--skip-download"]
        run = subprocess.run(command, capture_output=True, text=True)
    must(run.returncode in [0, 1], f"checkov fails: {run.stderr}")
    found = json.loads(run.stdout)
    failed = [one for one in found["results"]["failed_checks"] if not excused(one)]
    said = "; ".join(sorted({f"{one['check_id']} {one['check_name']}: {one['file_path']} {one['resource']}" for one in failed}))
    must(not failed, f"checkov: {said}")
    passed = found["summary"]["passed"]
    must(passed > 300, f"checkov looked at little: {passed} checks passed")
    print(f"  checkov: {passed} checks pass, {len(EXCEPTIONS)} are excused, each for its reason")


def excused(one):
    check_id = one["check_id"]
    is_test, is_git = one["resource"].endswith("-test"), one["file_path"].startswith("/git")
    return check_id in EXCEPTIONS or is_test and check_id in EXCEPTIONS_OF_TESTS or is_git and check_id in EXCEPTIONS_OF_GIT
