"""From the contract's messages and gRPC's statuses to a `Decision`.

An Allow comes from one place, `decision`, and only from an answer that says so in full and contradicts itself nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timezone
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from mandate_client.contract import authorization_pb2 as pb
from mandate_client.contract import types_pb2 as types
from mandate_client.decision import (
    Advice,
    Decision,
    DeniedBy,
    DeterminingPolicy,
    Hop,
    Obligation,
    PolicyError,
    Reason,
)
from mandate_client.entities import EntityRef
from mandate_client.question import Question

INVALID = "invalid_answer"
"""The reason's code where a server answers what is no decision."""

EFFECTS = {pb.POLICY_EFFECT_PERMIT: "permit", pb.POLICY_EFFECT_FORBID: "forbid"}
CACHE = {pb.CACHE_STATUS_HIT: "hit", pb.CACHE_STATUS_MISS: "miss", pb.CACHE_STATUS_BYPASS: "bypass"}
CODES = (
    "ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
    "permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented",
    "internal", "unavailable", "data_loss", "unauthenticated",
)  # fmt: skip
"""gRPC's codes by their numbers."""


def decision(answer: pb.AuthorizeResponse, question: Question, request_id: str, fulfils: Collection[str]) -> Decision:
    """Read an answer. What cannot be read is none."""
    try:
        return _read(answer, question, request_id, fulfils)
    except Exception as error:  # noqa: BLE001 - whatever cannot be read is not an Allow
        return _invalid(f"The server's answer cannot be read: {type(error).__name__}.", request_id)


def _read(answer: pb.AuthorizeResponse, question: Question, request_id: str, fulfils: Collection[str]) -> Decision:
    """Read an answer. It allows only if nothing says otherwise."""
    denied = _why_not(answer, question, request_id, fulfils)
    return Decision(
        allowed=denied is None,
        answered=denied is None or denied.code != INVALID,
        reason=denied,
        decision_id=answer.decision_id,
        request_id=request_id,
        obligations=[Obligation(one.id, one.type, _members(one.properties)) for one in answer.obligations],
        advice=[Advice(one.type, _members(one.properties)) for one in answer.advice],
        determining_policies=[
            DeterminingPolicy(one.policy_id, EFFECTS.get(one.effect, ""), dict(one.annotations))
            for one in answer.determining_policies
        ],
        errors=[PolicyError(one.policy_id, one.message) for one in answer.errors],
        denied_by=_denied_by(answer),
        chain=_chain(answer),
        principal=_ref(answer, "principal"),
        revision=answer.revision,
        generation=answer.generation,
        valid_until=answer.valid_until.ToDatetime(timezone.utc) if answer.HasField("valid_until") else None,
        cache=CACHE.get(answer.cache, ""),
        explanation=MessageToDict(answer.explanation) if answer.HasField("explanation") else {},
    )


def decisions(
    answer: pb.AuthorizeBatchResponse,
    questions: Sequence[Question],
    request_ids: Sequence[str],
    fulfils: Collection[str],
) -> list[Decision]:
    """Read the answers of a batch, each by its own question. Of a wrong number none counts."""
    if len(answer.results) != len(questions):
        wrong = f"the server gave {len(answer.results)} answers to {len(questions)} questions"
        return [_invalid(wrong, request_id) for request_id in request_ids]
    return [
        _result(result, question, request_id, fulfils)
        for result, question, request_id in zip(answer.results, questions, request_ids, strict=True)
    ]


def _result(result: pb.AuthorizeResult, question: Question, request_id: str, fulfils: Collection[str]) -> Decision:
    outcome = result.WhichOneof("outcome")
    if outcome == "response":
        return decision(result.response, question, request_id, fulfils)
    if outcome == "status":
        return failed(result.status, request_id)
    return _invalid("the server left a question of the batch without an answer", request_id)


def _why_not(
    answer: pb.AuthorizeResponse, question: Question, request_id: str, fulfils: Collection[str]
) -> Reason | None:
    """Say why an answer is not an Allow; nothing, if it is one."""
    if answer.decision == pb.DECISION_DENY:
        return Reason(answer.reason.code or "denied", answer.reason.message or "The server gives no reason.")
    wrong = _contradiction(answer, question, request_id)
    if wrong is not None:
        return Reason(INVALID, wrong)
    unfulfilled = sorted({one.type or "(none)" for one in answer.obligations if one.type not in fulfils})
    if unfulfilled:
        return Reason(
            "obligation_not_fulfilled",
            f"It is allowed only with obligations that this caller does not fulfil: {', '.join(unfulfilled)}.",
        )
    return None


def _contradiction(answer: pb.AuthorizeResponse, question: Question, request_id: str) -> str | None:
    """Say in what an answer that is no denial is not an Allow either."""
    actor = question.principal
    if answer.decision != pb.DECISION_ALLOW:
        return f"The server answered neither allow nor deny ({int(answer.decision)})."
    if answer.request_id != request_id:
        return "The server answered another request."
    if not (answer.decision_id and answer.generation and answer.revision):
        return "The server's Allow does not say which decision it is, and of what."
    if answer.HasField("denied_by") or answer.HasField("reason"):
        return "The server's Allow gives a reason for a denial."
    if any(hop.decision != pb.DECISION_ALLOW for hop in answer.chain):
        return "The server's Allow has a member of the chain that is not allowed."
    if actor is not None and answer.HasField("principal") and _named(answer.principal) != actor:
        return "The server's Allow is another principal's."
    return None


def failed(status: status_pb2.Status, request_id: str) -> Decision:
    """Read a status as the decision that it is: not allowed."""
    word = next(filter(None, (_error_info(detail) for detail in status.details)), code(status))
    message = status.message or f"The server failed: {code(status)}."
    return Decision.unanswered(word, message, request_id=request_id)


def code(status: status_pb2.Status) -> str:
    """Name the code of a status."""
    return CODES[status.code] if 0 <= status.code < len(CODES) else "unknown"


def status_of(number: int, message: str, details: bytes | None) -> status_pb2.Status:
    """Put together what a failed call says; details that cannot be read are left out."""
    status = status_pb2.Status()
    try:
        status.ParseFromString(details or b"")
    except DecodeError:
        status.Clear()
    status.code, status.message = number, message
    return status


def _error_info(detail: Any) -> str | None:  # noqa: ANN401 - google.protobuf.Any, whose stub has no methods
    info = error_details_pb2.ErrorInfo()
    try:
        return info.reason.lower() if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) else None
    except DecodeError:
        return None


def _invalid(message: str, request_id: str) -> Decision:
    return Decision.unanswered(INVALID, message, request_id=request_id)


def _chain(answer: pb.AuthorizeResponse) -> list[Hop]:
    return [
        Hop(_named(hop.principal), hop.role, _ref(hop, "grant"), hop.decision == pb.DECISION_ALLOW)
        for hop in answer.chain
    ]


def _denied_by(answer: pb.AuthorizeResponse) -> DeniedBy | None:
    if not answer.HasField("denied_by"):
        return None
    by = answer.denied_by
    return DeniedBy(by.hop, _ref(by, "principal"), by.rule, _ref(by, "grant"), by.policy_id)


def _ref(message: pb.AuthorizeResponse | pb.Hop | pb.DeniedBy, name: str) -> EntityRef | None:
    return _named(getattr(message, name)) if message.HasField(name) else None


def _named(name: types.EntityRef) -> EntityRef:
    return EntityRef(name.type, name.id)


def _members(properties: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a Struct, whose stub does not say that it is a message
    return MessageToDict(properties)
