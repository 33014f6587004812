"""Questions about the shipped world."""

from __future__ import annotations

import json
from typing import Any

from service import REPOSITORY

from mandate_client import EntityRef, Question, action, agent, delegation, tool, user

SESSION: dict[str, Any] = {
    "id": "s1", "purpose": "look around", "attended": True, "untrusted": False,
    "read_level": 0, "calls": 1, "spent_cents": 0,
}  # fmt: skip


def digest(server: str, name: str) -> str:
    """The digest of the tool's definition as it was approved."""
    entities = json.loads((REPOSITORY / f"entities/{server}.json").read_text())
    wanted = {"type": "Mandate::Tool", "id": f"{server}/{name}"}
    return next(str(entity["attrs"]["digest"]) for entity in entities if entity["uid"] == wanted)


def look_around(who: str = "ana") -> Question:
    """A person looks at a server's tools: allowed."""
    return Question(
        principal=user(who),
        action=action("list_tools"),
        resource=EntityRef("Mandate::ToolServer", "github"),
        context={"session": SESSION},
    )


def call(server: str, name: str, arguments: dict[str, Any] | None, **changed: Any) -> Question:
    """Ana calls a tool by herself."""
    stated: dict[str, Any] = {
        "principal": user("ana"),
        "action": action("call_tool"),
        "resource": tool(server, name),
        "context": {"session": SESSION, "digest": digest(server, name), "touches": []},
        "arguments": arguments,
    }
    return Question(**stated | changed)


def fetch(url: str) -> Question:
    """Ana fetches a page; the policy reads the address."""
    return call("fetch", "fetch", {"url": url})


def write(path: str, **changed: Any) -> Question:
    """The agent code-bot writes a file on Ana's behalf."""
    stated: dict[str, Any] = {"principal": agent("code-bot"), "delegations": [delegation("ana-code-bot")]}
    return call("filesystem", "write_file", {"path": path, "content": "x"}, **stated | changed)


def grant(name: str, *, to: str, actions: list[str], server: str) -> dict[str, Any]:
    """A grant of Ana's for everything that a server offers, as an entity."""
    named = {"type": "Mandate::Action"}
    attributes = {
        "from_user": {"type": "Mandate::User", "id": "ana"},
        "to": {"type": "Mandate::Agent", "id": to},
        "actions": [named | {"id": one} for one in actions],
        "tools": [], "data": [], "agents": [],
        "toolsets": [{"type": "Mandate::Toolset", "id": server}],
        "servers": [{"type": "Mandate::ToolServer", "id": server}],
        "not_before": "2026-09-01T00:00:00Z",
        "expires": "2030-01-01T00:00:00Z",
        "max_depth": 0,
        "purpose": "tests",
    }  # fmt: skip
    return {"uid": {"type": "Mandate::Delegation", "id": name}, "attrs": attributes, "parents": []}
