"""Asking from asyncio. `Client` is the same for ordinary code."""

from __future__ import annotations

import asyncio
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


class AsyncClient:
    """A connection to a server, for any number of tasks. It is opened by the first call and belongs to its event loop.

    Called from another loop it is opened again there, so that it may be made before any loop runs.
    """

    def __init__(self, address: str, options: Options | None = None) -> None:
        self.options = options or Options()
        self._address = Address.parse(address, self.options)
        self._secured = channel.credentials(self._address, self.options)
        self._opened: tuple[asyncio.AbstractEventLoop, grpc.aio.Channel] | None = None

    async def authorize(self, question: Question, *, deadline: float | None = None) -> Decision:
        """Ask one question. Nothing that goes wrong is raised: it is a decision that does not allow, and says why."""
        request_id = uuid.uuid4().hex
        try:
            message = asking.request(question, request_id)
            answer = await self._call(channel.AUTHORIZE, message, deadline)
            return answers.decision(answer, question, request_id, self.options.fulfils)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return failures.refused(error, request_id)

    async def require(self, question: Question, *, deadline: float | None = None) -> Decision:
        """Ask one question, and raise `Denied` unless it is allowed."""
        return (await self.authorize(question, deadline=deadline)).require()

    async def authorize_batch(self, questions: Sequence[Question], *, deadline: float | None = None) -> list[Decision]:
        """Ask up to 100 questions in one world. Credentials and consistency must be the same for all.

        The decisions are in the order of the questions; where the whole batch fails, each of them says so.
        """
        request_ids = [uuid.uuid4().hex for _ in questions]
        try:
            message = asking.batch(questions, request_ids)
            answer = await self._call(channel.AUTHORIZE_BATCH, message, deadline)
            return answers.decisions(answer, questions, request_ids, self.options.fulfils)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return [failures.refused(error, request_id) for request_id in request_ids]

    async def report_outcome(self, report: Report, *, deadline: float | None = None) -> None:
        """Tell the log what came of a decision. Raises `NotReported` if that fails."""
        try:
            await self._call(channel.REPORT_OUTCOME, report.message(), deadline)
        except Exception as error:  # noqa: BLE001 - it is raised as what it is
            raise failures.not_reported(error) from None

    async def search(self, search: Search, *, deadline: float | None = None) -> list[Found]:
        """Find what would be allowed, on as many pages as there are. Raises `SearchFailed` if that fails."""
        end = time.monotonic() + self._seconds(deadline)
        every: list[Found] = []
        token = ""
        try:
            for _ in range(MOST_PAGES):
                request_id = uuid.uuid4().hex
                left = end - time.monotonic()
                answer = await self._call(search.sought.method, search.page(request_id, token), left)
                every += found(answer, request_id)
                token = answer.next_page_token
                if not token:
                    return every
        except Exception as error:  # noqa: BLE001 - it is raised as what it is
            raise failures.not_searched(error) from None
        raise SearchFailed("too_long", "The search has more pages than are turned.")

    async def close(self) -> None:
        """Close the connection."""
        opened, self._opened = self._opened, None
        if opened is not None and opened[0] is asyncio.get_running_loop():
            await opened[1].close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _seconds(self, deadline: float | None) -> float:
        return self.options.deadline if deadline is None else check_deadline(deadline)

    async def _call(self, method: Method[Asked, Answered], message: Asked, deadline: float | None) -> Answered:
        seconds = self._seconds(deadline)
        call = self._channel().unary_unary(method.path, method.serialize, method.parse)
        return await call(message, timeout=seconds, metadata=channel.metadata(self.options))

    def _channel(self) -> grpc.aio.Channel:
        loop = asyncio.get_running_loop()
        if self._opened is None or self._opened[0] is not loop:
            self._opened = (loop, self._open())
        return self._opened[1]

    def _open(self) -> grpc.aio.Channel:
        stated = channel.arguments(self.options)
        if self._secured is None:
            return grpc.aio.insecure_channel(self._address.target, stated)
        return grpc.aio.secure_channel(self._address.target, self._secured, stated)
