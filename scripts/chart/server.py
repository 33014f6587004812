"""What was rendered, put before the real server: it loads, answers what `helm test` asks, and follows what git-sync does."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from .render import CHART, KINDS, Render, config_map, must, of_kind, server, settings, volumes, workloads

SCHEMA = "namespace Shop { entity Person; entity Page; action read appliesTo { principal: Person, resource: Page }; }"
ENTITIES = '[{"uid": {"type": "Shop::Person", "id": "ana"}, "attrs": {}, "parents": []}, {"uid": {"type": "Shop::Page", "id": "front"}, "attrs": {}, "parents": []}]'
PERMIT = '@id("read") permit (principal is Shop::Person, action == Shop::Action::"read", resource is Shop::Page);'
FORBID = '@id("closed") forbid (principal, action, resource);'
QUESTION = {"subject": {"type": "Shop::Person", "id": "ana"}, "action": {"name": "read"}, "resource": {"type": "Shop::Page", "id": "front"}}


def check(helm, mandate):
    accepts(helm, mandate)
    loads(helm, mandate)
    answers(helm, mandate)
    follows_git(helm, mandate)


def accepts(helm, mandate):
    """The server knows every key that any set of values writes. (3: what it names is not there, which is as it should be.)"""
    count = 0
    for values in sorted((CHART / "ci").glob("*-values.yaml")):
        objects = Render(helm, ["--values", values]).objects()
        for workload in workloads(objects):
            with tempfile.TemporaryDirectory() as folder:
                write_config(objects, Path(folder), volumes(workload)["config"]["configMap"]["name"])
                asked = [Path(mandate).resolve(), "validate", "--config", "mandate.toml"]
                run = subprocess.run(asked, cwd=folder, capture_output=True, text=True)
                name = values.name.removesuffix("-values.yaml")
                must(run.returncode == 3, f"{name}: the server does not take its mandate.toml: {run.stderr}")
                count += 1
    print(f"  the server takes mandate.toml of {count} workloads")


def write_config(objects, root, name="x-mandate"):
    """mandate.toml for this machine: other folders, and ports that are free."""
    written = config_map(objects, name)["mandate.toml"]
    written = written.replace("/etc/mandate", str(root)).replace("/var/lib/mandate", str(root))
    for port in range(4466, 4470):
        written = written.replace(f"0.0.0.0:{port}", "127.0.0.1:0").replace(f"127.0.0.1:{port}", "127.0.0.1:0")
    (root / "mandate.toml").write_text(written)


def lay_out(objects, root):
    """What a pod sees of its ConfigMaps, with the links the kubelet makes, below a folder."""
    for kind in [*KINDS, "emergency"]:
        folder = root / kind
        (folder / "..2026_01_01").mkdir(parents=True)
        (folder / "..data").symlink_to("..2026_01_01")
        for name, text in (config_map(objects, f"x-mandate-{kind}") or {}).items():
            (folder / "..data" / name).write_text(text)
            (folder / name).symlink_to(Path("..data") / name)
    write_config(objects, root)
    for name, text in (config_map(objects, "x-mandate-test") or {}).items():
        (root / name).write_text(text)


def loads(helm, mandate):
    """The ConfigMaps load, and the test's request is allowed by them."""
    for values in ["default", "own-files"]:
        objects = Render(helm, ["--values", CHART / "ci" / f"{values}-values.yaml"]).objects()
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            lay_out(objects, root)
            asked = [mandate, "check", "--config", root / "mandate.toml", "--request", root / "request.json"]
            run = subprocess.run(asked, capture_output=True, text=True)
            must(run.returncode == 0, f"{values}: the test's request is not allowed: {run.stdout}{run.stderr}")
    print("  the rendered mandate.toml and ConfigMaps load, and the test's request is allowed")


@contextlib.contextmanager
def serving(mandate, root):
    """A server with that configuration, and its addresses."""
    log = (root / "stderr").open("w+")
    program = [mandate, "serve", "--config", root / "mandate.toml"]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        yield wait(60, "it does not serve", lambda: addresses(process, root / "stderr"))
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def addresses(process, log):
    must(process.poll() is None, f"the server ended: {log.read_text()}")
    for line in log.read_text().splitlines():
        if '"message":"serving"' in line:
            said = json.loads(line)
            return {name: said[f"listen.{name}"] for name in ["data", "http", "ops", "control"]}
    return None


def wait(seconds, otherwise, found):
    """The first thing that is found. Long enough for a machine that has much else to do."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = found()
        if answer is not None:
            return answer
        time.sleep(0.1)
    must(False, otherwise)


def answers(helm, mandate):
    """The three tests of `helm test`, as their pods would run them."""
    objects = Render(helm, []).objects()
    args = {pod["metadata"]["name"]: pod["spec"]["containers"][0] for pod in of_kind(objects, "Pod")}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(objects, root)
        with serving(mandate, root) as at:
            places = {
                "http://x-mandate:4466": f"http://{at['data']}",
                "http://x-mandate:4467": f"http://{at['http']}",
                "http://x-mandate-headless:4468": f"http://{at['ops']}",
                "/request/": f"{root}/",
            }
            for name, made in args.items():
                command = made.get("command", [mandate]) + made["args"]
                for there, here in places.items():
                    command = [str(part).replace(there, here) for part in command]
                run = subprocess.run(command, capture_output=True, text=True)
                must(run.returncode == 0, f"{name}: {command}: {run.stdout}{run.stderr}")
            (root / "authzen.json").write_text((root / "authzen.json").read_text().replace('"ana"', '"nobody"'))
            denied = [str(part) for part in args["x-mandate-authzen-test"]["command"] + args["x-mandate-authzen-test"]["args"]]
            denied = [part.replace("http://x-mandate:4467", f"http://{at['http']}").replace("/request/", f"{root}/") for part in denied]
            must(subprocess.run(denied, capture_output=True).returncode != 0, "the AuthZEN test takes a deny for an allow")
    print(f"  {', '.join(sorted(args))} pass against the real server, and a deny fails the test")


def worktree(root, commit, policies):
    """A checkout as git-sync makes it, and the link that it moves there in one step."""
    folder = root / "sources" / ".worktrees" / commit
    for name, files in {"policies": policies, "schemas": {"shop.cedarschema": SCHEMA}, "entities": {"all.json": ENTITIES}}.items():
        (folder / name).mkdir(parents=True)
        for file, text in files.items():
            (folder / name / file).write_text(text)
    moving = root / "sources" / "tmp-link"
    moving.symlink_to(Path(".worktrees") / commit)
    moving.rename(root / "sources" / "current")


def allowed(at):
    request = urllib.request.Request(f"http://{at['http']}/access/v1/evaluation", json.dumps(QUESTION).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["decision"]


def follows_git(helm, mandate):
    """Each commit is served whole, without a restart; one that does not load changes nothing."""
    domain = {"namespace": "Shop", "user": "Shop::Person", "chain_required": []}
    values = {"sources": {"example": False, "git": {"repository": "https://git.example/p.git"}}, "config": {"domain": domain}}
    objects = Render(helm, [], values=values).objects()
    must(settings(objects, server(objects))["sources"]["policies"].startswith("/etc/mandate/sources/current/"), "the link is not read")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "emergency").mkdir()
        write_config(objects, root)
        worktree(root, "a", {"read.cedar": PERMIT})
        with serving(mandate, root) as at:
            must(allowed(at), "the first commit is not served")
            worktree(root, "b", {"read.cedar": PERMIT, "closed.cedar": FORBID})
            shutil.rmtree(root / "sources" / ".worktrees" / "a")
            wait(60, "a commit that forbids is not served", lambda: None if allowed(at) else True)
            worktree(root, "c", {"read.cedar": "permit ("})
            shutil.rmtree(root / "sources" / ".worktrees" / "b")
            wait(60, "a broken commit is not reported", lambda: True if "rejected" in (root / "stderr").read_text() else None)
            must(not allowed(at), "a broken commit lifts a forbid")
            worktree(root, "d", {"read.cedar": PERMIT})
            wait(60, "a commit after a broken one is not served", lambda: True if allowed(at) else None)
    print("  commits that git-sync checks out are served whole, and a broken one changes nothing")
