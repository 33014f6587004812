"""What integrations have in common: who acts, what is known of its session, and the questions that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from mandate_client import digest
from mandate_client.decision import Decision
from mandate_client.entities import EntityRef, Json
from mandate_client.question import Evidence, Question
from mandate_client.search import Candidate, Search, Sought


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who acts, and on whose behalf. Either is named, or a token says it."""

    principal: EntityRef | None = None
    delegations: Sequence[EntityRef] = ()
    credentials: str = field(default="", repr=False)
    """The subject's bearer token. It is never shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What this enforcement point says of the session. Policies believe it, so say only what is known here."""

    session: Mapping[str, Json]
    """`context.session`: in the shipped schema id, purpose, attended, untrusted, read_level, calls, spent_cents."""
    touches: Sequence[EntityRef]
    """`context.touches`: the data that the call reaches; an empty list says that it reaches none."""
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the agent is about to do."""

    kind: Literal["call_tool", "list_tools", "read_resource", "get_prompt"]
    name: str
    """The tool, the resource's URI or the prompt; empty for a list."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    call_id: str = ""
    digest: str = ""
    """Of the tool's definition, as the agent is told it."""


FactsOf: TypeAlias = "Facts | Callable[[Call], Facts]"
SubjectOf: TypeAlias = "Subject | Callable[[], Subject]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Makes questions of calls."""

    server: str
    """The server's name in Mandate: its tools are stored as `<server>/<tool>`."""
    subject: SubjectOf
    facts: FactsOf
    namespace: str = "Mandate"

    def question(self, call: Call) -> Question:
        """Ask whether this may be done. Raises what `subject` and `facts` raise: nothing is asked then."""
        subject = self.subject() if callable(self.subject) else self.subject
        facts = self.facts(call) if callable(self.facts) else self.facts
        session_id = facts.evidence.session_id or str(facts.session.get("id", ""))
        return Question(
            principal=subject.principal,
            action=EntityRef(f"{self.namespace}::Action", call.kind),
            resource=self._resource(call),
            context={"session": facts.session, **self._context(call, facts)},
            arguments=call.arguments if call.kind == "call_tool" else None,
            delegations=subject.delegations,
            credentials=subject.credentials,
            evidence=replace(facts.evidence, session_id=session_id, tool_call_id=call.call_id),
        )

    def search(self, digests: Mapping[str, str]) -> Search:
        """Search for the tools that may be called, of those with these definitions; arguments are not known yet."""
        question = self.question(Call(kind="list_tools", name=""))
        asked = replace(
            question,
            action=EntityRef(f"{self.namespace}::Action", "call_tool"),
            resource=EntityRef(f"{self.namespace}::Tool", ""),
        )
        candidates = [Candidate(self.tool_id(name), {"digest": one}) for name, one in digests.items()]
        return Search(sought=Sought.RESOURCES, question=asked, candidates=candidates, unknown=["touches"])

    def tool_id(self, name: str) -> str:
        """Give the id under which a tool of the server is stored."""
        return f"{self.server}/{name}"

    def _resource(self, call: Call) -> EntityRef:
        if call.kind == "call_tool":
            return EntityRef(f"{self.namespace}::Tool", self.tool_id(call.name))
        return EntityRef(f"{self.namespace}::ToolServer", self.server)

    @staticmethod
    def _context(call: Call, facts: Facts) -> dict[str, Json]:
        match call.kind:
            case "call_tool":
                return {"digest": call.digest, "touches": list(facts.touches)}
            case "read_resource":
                return {"uri": call.name}
            case "get_prompt":
                return {"prompt": call.name}
            case "list_tools":
                return {}


def unasked(error: Exception) -> Decision:
    """Make the decision where a question could not be made: not allowed, and nothing is told of what went wrong."""
    return Decision.unanswered("not_asked", f"The question could not be made: {type(error).__name__}.")


def may_be_shown(decision: Decision) -> bool:
    """Say whether a tool is shown in a list: if it is allowed, or if only the arguments of a call can tell."""
    return decision.allowed or (decision.reason is not None and decision.reason.code == "invalid_request")


def definition(name: str, description: str, input_schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a tool as `tools/list` would, for `mandate import-mcp` and for digests."""
    return {"name": name, "description": description, "inputSchema": dict(input_schema)}


def tools_list(definitions: Sequence[Mapping[str, Any]], server: str) -> dict[str, Any]:
    """Put definitions together as the file that `mandate import-mcp` reads."""
    return {"server": server, "tools": [dict(one) for one in definitions]}


def digest_of(one: Mapping[str, Any]) -> str:
    """Digest a definition as an import does."""
    return digest.of_json(one)
