"""What came of a decision, for the decision log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mandate_client import digest
from mandate_client.contract import administration_pb2 as pb
from mandate_client.decision import Decision


class Outcome(Enum):
    """What was done."""

    EXECUTED = pb.OUTCOME_EXECUTED
    FAILED = pb.OUTCOME_FAILED
    BLOCKED = pb.OUTCOME_BLOCKED
    OVERRIDDEN = pb.OUTCOME_OVERRIDDEN
    """A person or system went against the decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An outcome of a decision, and digests of what went in and came out."""

    decision: Decision
    outcome: Outcome
    arguments: Mapping[str, Any] | None = None
    """The arguments that it was done with: others than were decided on are found."""
    result_digest: str = ""
    detail: str = ""

    def message(self) -> pb.ReportOutcomeRequest:
        """Turn it into the contract's message."""
        return pb.ReportOutcomeRequest(
            decision_id=self.decision.decision_id,
            outcome=self.outcome.value,
            input_digest="" if self.arguments is None else digest.of_json(self.arguments),
            result_digest=self.result_digest,
            detail=self.detail,
        )


class NotReported(RuntimeError):
    """An outcome did not reach the log. `code` is gRPC's, in lower case."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
