"""Asking from ordinary code. `AsyncClient` is the same for asyncio."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from mandate_client import answers, asking, channel, failures
from mandate_client.channel import Method
from mandate_client.decision import Decision
from mandate_client.options import Address, Options, check_deadline
from mandate_client.outcome import Report
from mandate_client.question import Question
from mandate_client.search import MOST_PAGES, Found, Search, SearchFailed, found

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)


class Client:
    """A connection to a server, for any number of threads. It is opened by the first call and kept."""

    def __init__(self, address: str, options: Options | None = None) -> None:
        self.options = options or Options()
        self._address = Address.parse(address, self.options)
        secured = channel.credentials(self._address, self.options)
        stated = channel.arguments(self.options)
        self._channel = (
            grpc.insecure_channel(self._address.target, stated)
            if secured is None
            else grpc.secure_channel(self._address.target, secured, stated)
        )

    def authorize(self, question: Question, *, deadline: float | None = None) -> Decision:
        """Ask one question. Nothing that goes wrong is raised: it is a decision that does not allow, and says why."""
        request_id = uuid.uuid4().hex
        try:
            message = asking.request(question, request_id)
            answer = self._call(channel.AUTHORIZE, message, deadline)
            return answers.decision(answer, question, request_id, self.options.fulfils)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return failures.refused(error, request_id)

    def require(self, question: Question, *, deadline: float | None = None) -> Decision:
        """Ask one question, and raise `Denied` unless it is allowed."""
        return self.authorize(question, deadline=deadline).require()

    def authorize_batch(self, questions: Sequence[Question], *, deadline: float | None = None) -> list[Decision]:
        """Ask up to 100 questions in one world. Credentials and consistency must be the same for all.

        The decisions are in the order of the questions; where the whole batch fails, each of them says so.
        """
        request_ids = [uuid.uuid4().hex for _ in questions]
        try:
            message = asking.batch(questions, request_ids)
            answer = self._call(channel.AUTHORIZE_BATCH, message, deadline)
            return answers.decisions(answer, questions, request_ids, self.options.fulfils)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return [failures.refused(error, request_id) for request_id in request_ids]

    def report_outcome(self, report: Report, *, deadline: float | None = None) -> None:
        """Tell the log what came of a decision. Raises `NotReported` if that fails."""
        try:
            self._call(channel.REPORT_OUTCOME, report.message(), deadline)
        except Exception as error:  # noqa: BLE001 - it is raised as what it is
            raise failures.not_reported(error) from None

    def search(self, search: Search, *, deadline: float | None = None) -> list[Found]:
        """Find what would be allowed, on as many pages as there are. Raises `SearchFailed` if that fails."""
        end = time.monotonic() + self._seconds(deadline)
        every: list[Found] = []
        token = ""
        try:
            for _ in range(MOST_PAGES):
                request_id = uuid.uuid4().hex
                left = end - time.monotonic()
                answer = self._call(search.sought.method, search.page(request_id, token), left)
                every += found(answer, request_id)
                token = answer.next_page_token
                if not token:
                    return every
        except Exception as error:  # noqa: BLE001 - it is raised as what it is
            raise failures.not_searched(error) from None
        raise SearchFailed("too_long", "The search has more pages than are turned.")

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _seconds(self, deadline: float | None) -> float:
        return self.options.deadline if deadline is None else check_deadline(deadline)

    def _call(self, method: Method[Asked, Answered], message: Asked, deadline: float | None) -> Answered:
        seconds = self._seconds(deadline)
        call = self._channel.unary_unary(method.path, method.serialize, method.parse)
        return call(message, timeout=seconds, metadata=channel.metadata(self.options))
