"""The real server, as a process of its own, on ports that the system picks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("MANDATE_BIN", REPOSITORY / "target/debug/mandate"))
LISTENERS = ("data", "http", "ops", "control")


STARTED: list[Service] = []
"""Every server of this run; those that a failed test left behind are stopped at its end."""


class Service:
    """`mandate serve` over folders, the shipped ones by default."""

    def __init__(self, folder: Path, sources: dict[str, Path], *, more: str = "", port: int = 0) -> None:
        listeners = "".join(f'{name} = "127.0.0.1:{port if name == "data" else 0}"\n' for name in LISTENERS)
        stated = "".join(f'{name} = "{path}"\n' for name, path in sources.items())
        self.folder = folder
        config = folder / "mandate.toml"
        config.write_text(
            f'[sources]\n{stated}[data]\ndirectory = "{folder}/data"\n[listen]\n{listeners}'
            f'[shutdown]\ngrace = "0s"\ndrain = "1s"\n{more}'
        )
        with (folder / "stderr").open("wb") as told:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--config", config], stdout=subprocess.DEVNULL, stderr=told, cwd=folder
            )
        STARTED.append(self)
        self.data, self.ops = self._addresses()
        self.url = f"{'https' if '[tls]' in more else 'http'}://{self.data}"

    def _addresses(self) -> tuple[str, str]:
        """Wait until the server says where it listens."""
        limit = time.monotonic() + 120
        while time.monotonic() < limit:
            ended = self.process.poll() is not None
            told = (self.folder / "stderr").read_text()
            found = dict(re.findall(r"^(gRPC|ops|control) +(?:http://)?(\S+)  ", told, re.MULTILINE))
            if len(found) == 3:
                return found["gRPC"], found["ops"]
            if ended:
                raise RuntimeError(f"the server did not start: {told}")
            time.sleep(0.05)
        self.process.kill()
        raise RuntimeError("the server did not start within two minutes")

    @property
    def port(self) -> int:
        return int(self.data.rpartition(":")[2])

    def kill(self) -> None:
        """End the process at once, as a crash does."""
        self.process.kill()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """Have the process write what it has, end it, and forget its folder."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def records(self) -> list[dict[str, Any]]:
        """Stop, and read the decision log."""
        self._end()
        told = subprocess.run(
            [BINARY, "log", "query", "--dir", self.folder / "data/log", "--format", "json"],
            capture_output=True,
            text=True,
            check=True,
        )
        self.stop()
        return [json.loads(line) for line in told.stdout.splitlines()]

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://{self.ops}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


def small_service(
    more: str = "",
    *,
    policy: str = "",
    schema: str = "",
    grants: Sequence[dict[str, Any]] = (),
    pep: str = "",
    port: int = 0,
) -> Service:
    """Serve from a fresh folder: `policy` instead of the shipped ones, `schema` and `grants` besides them."""
    folder = Path(tempfile.mkdtemp(prefix="mandate-client-"))
    sources = {name: REPOSITORY / name for name in ("policies", "schemas", "entities")}
    if policy:
        sources["policies"] = folder / "policies"
        sources["policies"].mkdir()
        (sources["policies"] / "only.cedar").write_text(policy)
    if schema:
        sources["schemas"] = Path(shutil.copytree(REPOSITORY / "schemas", folder / "schemas"))
        (sources["schemas"] / "more.cedarschema").write_text(schema)
    if grants:
        sources["entities"] = Path(shutil.copytree(REPOSITORY / "entities", folder / "entities"))
        (sources["entities"] / "more-grants.json").write_text(json.dumps(grants))
    if pep:
        sources["pep"] = folder / "pep"
        sources["pep"].mkdir()
        (sources["pep"] / "only.cedar").write_text(pep)
    return Service(folder, sources, more=more, port=port)
