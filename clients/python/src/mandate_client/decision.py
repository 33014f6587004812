"""What came of a question. Only `Decision.allowed` lets anything happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mandate_client.entities import EntityRef


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it is denied."""

    code: str
    """One word: the server's (`forbidden`, …), or, where nobody answered, what failed (`unavailable`, …)."""
    message: str
    """For a person, and for the agent that asked."""


@dataclass(frozen=True, slots=True)
class DeterminingPolicy:
    """A policy that the answer rests on."""

    policy_id: str
    effect: str
    """`permit` or `forbid`."""
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PolicyError:
    """A policy that could not be evaluated."""

    policy_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """What must be done by whoever acts on an Allow."""

    id: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Advice:
    """What may be done by whoever acts on an Allow."""

    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hop:
    """One principal of a chain, root first."""

    principal: EntityRef
    role: str
    grant: EntityRef | None
    allowed: bool


@dataclass(frozen=True, slots=True)
class DeniedBy:
    """The first thing that denied along a chain."""

    hop: int
    principal: EntityRef | None
    rule: str
    grant: EntityRef | None
    policy_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An answer, or why there is none. It is true exactly where it allows."""

    allowed: bool
    """The server allowed it in so many words, and every obligation is one that the caller fulfils."""
    answered: bool
    """The server decided. If not, nobody did, and `reason` says what went wrong."""
    reason: Reason | None
    """Set on everything that is not allowed."""
    decision_id: str = ""
    request_id: str = ""
    obligations: Sequence[Obligation] = ()
    """What must be done before, with or after the action; all are of types that the caller said it fulfils."""
    advice: Sequence[Advice] = ()
    determining_policies: Sequence[DeterminingPolicy] = ()
    errors: Sequence[PolicyError] = ()
    denied_by: DeniedBy | None = None
    chain: Sequence[Hop] = ()
    principal: EntityRef | None = None
    revision: str = ""
    generation: str = ""
    valid_until: datetime | None = None
    """Bounds how long the answer can hold. It licenses no reuse: advice of type `mandate.reuse` does."""
    cache: str = ""
    """`hit`, `miss` or `bypass`."""
    explanation: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.allowed

    def require(self) -> Decision:
        """Return the decision if it allows, and raise `Denied` otherwise."""
        if not self.allowed:
            raise Denied(self)
        return self

    @property
    def denial(self) -> str:
        """Say in one line why it is denied, as it is told to a model or an MCP client; empty for an Allow."""
        if self.allowed:
            return ""
        reason = self.reason or Reason("denied", "No reason was given.")
        where = f", decision {self.decision_id}" if self.decision_id else ""
        return f"Denied: {reason.message} [{reason.code}{where}]"

    @staticmethod
    def unanswered(code: str, message: str, *, request_id: str = "") -> Decision:
        """Make the decision of a question that nobody answered: not allowed."""
        return Decision(allowed=False, answered=False, reason=Reason(code, message), request_id=request_id)


class Denied(PermissionError):
    """What was asked is not allowed. `decision` has the reason."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.denial)
        self.decision = decision
