"""docs/kubernetes.md: each command and each set of values on the page renders."""

import re
import shlex
from pathlib import Path

import yaml

from .render import Render, must

PAGE = Path("docs/kubernetes.md")
# What `helm template` does not know, or needs no telling; the number of words each takes.
LEFT_OUT = {"--create-namespace": 1, "--reuse-values": 1, "--wait": 1, "--namespace": 2, "-n": 2}


def check(helm):
    text = PAGE.read_text()
    commands = re.findall(r"^\$ (helm (?:install|upgrade) .*?(?<!\\))$", text, re.MULTILINE | re.DOTALL)
    for command in commands:
        arguments = as_arguments(command.replace("\\\n", " "))
        run = Render(helm, arguments).run
        must(run.returncode == 0, f"{PAGE}: {command}: {run.stderr}")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    for block in blocks:
        run = Render(helm, [], values=yaml.safe_load(block)).run
        must(run.returncode == 0, f"{PAGE}: {block}: {run.stderr}")
    must(len(commands) > 3 and len(blocks) > 4, "the page shows less than it should")
    print(f"  {PAGE}: {len(commands)} commands and {len(blocks)} sets of values render")


def as_arguments(command):
    """What is left of `helm install NAME CHART …` for `helm template`."""
    words, kept = shlex.split(command, comments=True)[4:], []
    while words:
        taken = LEFT_OUT.get(words[0], 0)
        kept += [] if taken else [words[0]]
        words = words[max(taken, 1):]
    return kept
