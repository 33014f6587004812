"""Both clients behind one face, so that each test holds for both."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from mandate_client import AsyncClient, Client, Decision, Found, Options, Question, Report, Search

Result = TypeVar("Result")


class Asker(Protocol):
    """What both clients do."""

    def authorize(self, question: Question, *, deadline: float | None = None) -> Decision: ...
    def require(self, question: Question, *, deadline: float | None = None) -> Decision: ...
    def authorize_batch(self, questions: Sequence[Question], *, deadline: float | None = None) -> list[Decision]: ...
    def report_outcome(self, report: Report, *, deadline: float | None = None) -> None: ...
    def search(self, search: Search, *, deadline: float | None = None) -> list[Found]: ...
    def close(self) -> None: ...


class Waiting:
    """The asyncio client, run to the end of each call."""

    def __init__(self, address: str, options: Options | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.client = AsyncClient(address, options)

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    def authorize(self, question: Question, *, deadline: float | None = None) -> Decision:
        return self._wait(self.client.authorize(question, deadline=deadline))

    def require(self, question: Question, *, deadline: float | None = None) -> Decision:
        return self._wait(self.client.require(question, deadline=deadline))

    def authorize_batch(self, questions: Sequence[Question], *, deadline: float | None = None) -> list[Decision]:
        return self._wait(self.client.authorize_batch(questions, deadline=deadline))

    def report_outcome(self, report: Report, *, deadline: float | None = None) -> None:
        self._wait(self.client.report_outcome(report, deadline=deadline))

    def search(self, search: Search, *, deadline: float | None = None) -> list[Found]:
        return self._wait(self.client.search(search, deadline=deadline))

    def close(self) -> None:
        self._wait(self.client.close())
        self.loop.close()


def asker(kind: str, address: str, options: Options | None = None) -> Asker:
    return Client(address, options) if kind == "sync" else Waiting(address, options)
