"""The README's code runs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from service import Service

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_readmes_code_runs(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block.replace("http://127.0.0.1:4466", service.url), str(README), "exec"), names)
    told = capsys.readouterr().out
    assert "forbidden Pages are fetched over https from listed sites only" in told
    assert "Denied: Pages are fetched over https from listed sites only" in told
    assert asyncio.run(names["mcp"].list_prompts()) == []
    assert [one.get_name() for one in names["assistant"].tools[0].tool_input_guardrails] == ["mandate"]
