"""Telling the decision log what came of decisions, without anybody waiting for it."""

from __future__ import annotations

import asyncio
import logging

from mandate_client.async_client import AsyncClient
from mandate_client.client import Client
from mandate_client.outcome import NotReported, Report

logger = logging.getLogger("mandate_client")

MOST_PENDING = 1000
"""Reports that may be under way at one time. Further ones are not made, and that is logged."""


class Reporter:
    """Reports in the background of an event loop."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._pending: set[asyncio.Task[None]] = set()

    def report(self, report: Report) -> None:
        """Begin to report an outcome; a decision that nobody made has none."""
        if not report.decision.decision_id:
            return
        if len(self._pending) >= MOST_PENDING:
            logger.warning("an outcome is not reported: %s others are under way", MOST_PENDING)
            return
        task = asyncio.get_running_loop().create_task(self._send(report))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def flush(self) -> None:
        """Wait for the reports that are under way."""
        await asyncio.gather(*self._pending)

    async def _send(self, report: Report) -> None:
        try:
            await self._client.report_outcome(report)
        except NotReported as error:
            logger.warning("the outcome of decision %s is not in the log: %s", report.decision.decision_id, error)


def report_now(client: Client, report: Report) -> None:
    """Report an outcome, and log it where that fails."""
    if not report.decision.decision_id:
        return
    try:
        client.report_outcome(report)
    except NotReported as error:
        logger.warning("the outcome of decision %s is not in the log: %s", report.decision.decision_id, error)
