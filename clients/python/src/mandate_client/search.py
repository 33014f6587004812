"""What would be allowed: the actions, resources or principals that a question would be allowed for.

A search licenses nothing: whatever is then done is asked about when it is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from mandate_client import answers, asking
from mandate_client.channel import Method
from mandate_client.contract import search_pb2 as pb
from mandate_client.contract import types_pb2 as types
from mandate_client.entities import EntityRef, Json
from mandate_client.question import Question

SERVICE = "mandate.v1.SearchService"

MOST_ON_A_PAGE = 1000
MOST_PAGES = 1000
"""A search that has more is given up: it would not end."""


class Sought(Enum):
    """What is searched for. Of that part only the type counts: its id is empty, and an action is left out."""

    ACTIONS = "Actions"
    RESOURCES = "Resources"
    PRINCIPALS = "Principals"

    @property
    def method(self) -> Method[pb.SearchRequest, pb.SearchResponse]:
        """Name the contract's method."""
        return Method(f"/{SERVICE}/Search{self.value}", pb.SearchResponse)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One to search among."""

    id: str
    context: Mapping[str, Json] = field(default_factory=dict)
    """Members of the context for this one, in place of the question's own: a tool's `digest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search. Where the question has no arguments, those of tools that have an action of their own are unknown."""

    sought: Sought
    question: Question
    candidates: Sequence[Candidate] = ()
    """None: all that are stored."""
    unknown: Sequence[str] = ()
    """Members of the context that nobody knows yet, such as `touches`."""
    any_delegation: bool = False
    """Ask under each delegation that was given to the principal and holds, and for itself alone."""

    def page(self, request_id: str, token: str) -> pb.SearchRequest:
        """Turn it into the contract's message, for the page that the token names."""
        question = asking.request(self.question, request_id)
        if self.sought is Sought.ACTIONS:
            question.ClearField("action")
        return pb.SearchRequest(
            question=question,
            candidates=[pb.Candidate(id=one.id, context=asking.struct(one.context)) for one in self.candidates],
            unknown=self.unknown,
            any_delegation=self.any_delegation,
            page_size=MOST_ON_A_PAGE,
            page_token=token,
        )


@dataclass(frozen=True, slots=True)
class Through:
    """On whose authority something was found."""

    delegation: EntityRef | None
    """None: the principal's own."""
    chain: Sequence[EntityRef]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that would be allowed."""

    uid: EntityRef
    action: EntityRef
    is_certain: bool
    """Allowed whatever is unknown. Otherwise it is not certain that it cannot be allowed."""
    through: Sequence[Through] = ()


class SearchFailed(RuntimeError):
    """Nothing is known of what would be allowed. `code` is a reason's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def found(answer: pb.SearchResponse, request_id: str) -> list[Found]:
    """Read a page. What is neither certain nor possible is not found."""
    if answer.request_id != request_id or not answer.decision_id:
        raise SearchFailed(answers.INVALID, "The server answered another search, or none.")
    certainties = (pb.CERTAINTY_CERTAIN, pb.CERTAINTY_POSSIBLE)
    return [
        Found(_name(one.uid), _name(one.action), one.certainty == pb.CERTAINTY_CERTAIN, _through(one))
        for one in answer.found
        if one.certainty in certainties
    ]


def _through(one: pb.Found) -> list[Through]:
    return [
        Through(
            _name(way.delegation) if way.HasField("delegation") else None,
            [_name(member) for member in way.chain],
        )
        for way in one.through
    ]


def _name(name: types.EntityRef) -> EntityRef:
    return EntityRef(name.type, name.id)
