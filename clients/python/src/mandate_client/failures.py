"""What is made of a call that failed, or that could not be made: never an Allow."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc import status_pb2

from mandate_client import answers
from mandate_client.decision import Decision
from mandate_client.outcome import NotReported
from mandate_client.search import SearchFailed


def refused(error: Exception, request_id: str) -> Decision:
    """Turn an error into a decision that does not allow."""
    status = _status(error)
    if status is not None:
        return answers.failed(status, request_id)
    return Decision.unanswered("not_asked", _told(error), request_id=request_id)


def not_reported(error: Exception) -> NotReported:
    """Turn an error of a report into the one that is raised."""
    status = _status(error)
    if status is not None:
        return NotReported(answers.code(status), status.message)
    return NotReported("not_asked", _told(error))


def not_searched(error: Exception) -> SearchFailed:
    """Turn an error of a search into the one that is raised."""
    if isinstance(error, SearchFailed):
        return error
    reason = refused(error, "").reason
    return SearchFailed(reason.code if reason else "", reason.message if reason else "")


def _told(error: Exception) -> str:
    """Say what was wrong with a question. Only errors about values are told in full: others might show a token."""
    what = f": {error}" if isinstance(error, ValueError) else ""
    return f"The question was not asked: {type(error).__name__}{what}"


def _status(error: Exception) -> status_pb2.Status | None:
    """Read what a failed call says; nothing, if no call failed."""
    if not isinstance(error, grpc.RpcError):
        return None
    call: Any = error
    trailing = call.trailing_metadata() or ()
    details = next((value for key, value in trailing if key == "grpc-status-details-bin"), None)
    return answers.status_of(call.code().value[0], call.details() or "", details)
