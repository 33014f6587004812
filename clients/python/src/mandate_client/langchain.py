"""Middleware for LangChain agents: each tool call is decided before the tool runs.

Add it last, so that it decides the call as it will run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from langchain.agents.middleware import AgentMiddleware
from langchain.tools.tool_node import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.types import Command

from mandate_client.async_client import AsyncClient
from mandate_client.client import Client
from mandate_client.decision import Decision
from mandate_client.outcome import Outcome, Report
from mandate_client.question import Question
from mandate_client.reporting import report_now
from mandate_client.tool_calls import Asker, Call, FactsOf, SubjectOf, definition, digest_of, tools_list, unasked

Answer: TypeAlias = "ToolMessage | Command[Any]"


def define(tool: BaseTool) -> dict[str, Any]:
    """Describe a tool as an MCP server would."""
    return definition(tool.name, tool.description, tool.get_input_jsonschema())


def define_all(tools: Sequence[BaseTool], server: str) -> dict[str, Any]:
    """Describe tools as `mandate import-mcp` reads them."""
    return tools_list([define(tool) for tool in tools], server)


class MandateMiddleware(AgentMiddleware[Any, Any, Any]):
    """Asks Mandate before a tool runs; whatever goes wrong denies, and the model is told why."""

    def __init__(
        self,
        client: Client,
        *,
        server: str,
        subject: SubjectOf,
        facts: FactsOf,
        namespace: str = "Mandate",
        async_client: AsyncClient | None = None,
    ) -> None:
        """Guard an agent whose tools are stored as `<server>/<tool>`.

        Without `async_client` an agent that runs in asyncio asks through `client`, in a thread.
        """
        super().__init__()
        self._client = client
        self._async_client = async_client
        self._asker = Asker(server=server, subject=subject, facts=facts, namespace=namespace)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Answer]) -> Answer:
        """Decide a call, and run it if it is allowed."""
        question = self._question(request)
        decision = question if isinstance(question, Decision) else self._client.authorize(question)
        if not decision:
            report_now(self._client, Report(decision=decision, outcome=Outcome.BLOCKED))
            return _denied(request, decision)
        outcome = Outcome.FAILED
        try:
            answer = handler(request)
            outcome = _outcome(answer)
        finally:
            report_now(self._client, _report(decision, outcome, request))
        return answer

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Answer]]
    ) -> Answer:
        """Decide a call, and run it if it is allowed."""
        question = self._question(request)
        decision = question if isinstance(question, Decision) else await self._authorize(question)
        if not decision:
            await self._report(Report(decision=decision, outcome=Outcome.BLOCKED))
            return _denied(request, decision)
        outcome = Outcome.FAILED
        try:
            answer = await handler(request)
            outcome = _outcome(answer)
        finally:
            await self._report(_report(decision, outcome, request))
        return answer

    def _question(self, request: ToolCallRequest) -> Question | Decision:
        """Make the question, or the decision where it cannot be made."""
        try:
            if request.tool is None:
                return Decision.unanswered("unknown_resource", "The agent has no such tool.")
            return self._asker.question(
                Call(
                    kind="call_tool",
                    name=request.tool.name,
                    arguments=request.tool_call["args"],
                    call_id=request.tool_call["id"] or "",
                    digest=digest_of(define(request.tool)),
                )
            )
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return unasked(error)

    async def _authorize(self, question: Question) -> Decision:
        if self._async_client is not None:
            return await self._async_client.authorize(question)
        return await asyncio.to_thread(self._client.authorize, question)

    async def _report(self, report: Report) -> None:
        await asyncio.to_thread(report_now, self._client, report)


def _report(decision: Decision, outcome: Outcome, request: ToolCallRequest) -> Report:
    arguments: Mapping[str, Any] = request.tool_call["args"]
    return Report(decision=decision, outcome=outcome, arguments=arguments)


def _outcome(answer: Answer) -> Outcome:
    failed = isinstance(answer, ToolMessage) and answer.status == "error"
    return Outcome.FAILED if failed else Outcome.EXECUTED


def _denied(request: ToolCallRequest, decision: Decision) -> ToolMessage:
    return ToolMessage(
        content=decision.denial,
        tool_call_id=request.tool_call["id"] or "",
        name=request.tool_call["name"],
        status="error",
    )
