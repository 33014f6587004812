"""What is asked: whether a principal may do an action to a resource in a context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mandate_client.entities import Entity, EntityRef, Json, Typed


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """Something that the agent had before it; the content stays with its owner."""

    kind: str
    """`prompt`, `retrieved`, `tool_result`, …"""
    uri: str = ""
    digest: str = ""
    source: str = ""
    trust: str = ""
    """`trusted` or `untrusted`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """For the decision log alone; no policy reads it."""

    session_id: str = ""
    conversation_id: str = ""
    tool_call_id: str = ""
    agent_version: str = ""
    model: str = ""
    prompt_digest: str = ""
    system_prompt_digest: str = ""
    catalog_digest: str = ""
    refs: Sequence[EvidenceRef] = ()
    traceparent: str = ""
    """W3C trace context of the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. `principal` may be left out where `credentials` say who acts."""

    action: EntityRef
    resource: EntityRef
    principal: EntityRef | None = None
    context: Mapping[str, Json] | Typed = field(default_factory=dict)
    arguments: Mapping[str, Json] | None = None
    """Raw arguments of the tool call. A call without any says `{}`; `None` says that no tool is called."""
    entities: Sequence[Entity] = ()
    delegations: Sequence[EntityRef] = ()
    """The grant under which the principal acts; those above it are found by their parents."""
    credentials: str = field(default="", repr=False)
    """The subject's bearer token. It is never shown."""
    minimum_revision: str = ""
    """Answer from this revision of the store or a later one."""
    bypass_cache: bool = False
    evidence: Evidence | None = None
    explain: bool = False
    """Ask for an explanation; callers need a right for it."""
    observe: bool = False
    """Say that the answer will not be enforced. The answer is the same; the record tells."""
