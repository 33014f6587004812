"""Guardrails for function tools of the OpenAI Agents SDK: each call is decided before the tool runs.

Only function tools have guardrails. Hosted tools and MCP servers that an agent is given are not guarded by this: put
`mandate proxy`, or the middleware for FastMCP, in front of those.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from agents import (
    FunctionTool,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailData,
    ToolOutputGuardrail,
    ToolOutputGuardrailData,
)

from mandate_client.async_client import AsyncClient
from mandate_client.decision import Decision
from mandate_client.outcome import Outcome, Report
from mandate_client.reporting import Reporter
from mandate_client.tool_calls import Asker, Call, FactsOf, SubjectOf, definition, digest_of, tools_list, unasked

MOST_REMEMBERED = 1000
"""Calls whose outcome may be outstanding; of older ones none is reported."""


def define(tool: FunctionTool) -> dict[str, Any]:
    """Describe a tool as an MCP server would."""
    return definition(tool.name, tool.description, tool.params_json_schema)


def define_all(tools: Sequence[FunctionTool], server: str) -> dict[str, Any]:
    """Describe tools as `mandate import-mcp` reads them."""
    return tools_list([define(tool) for tool in tools], server)


def arguments_of(text: str) -> Mapping[str, Any]:
    """Read a call's arguments as they will be read by the tool; what can be read in two ways is refused."""
    found = json.loads(text or "{}", object_pairs_hook=_members)
    if not isinstance(found, dict):
        raise ValueError("arguments are an object")  # noqa: TRY004 - one kind of error
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("arguments have no two members of the same name")
    return found


class MandateGuard:
    """Asks Mandate before a tool runs; whatever goes wrong denies, and the model is told why."""

    def __init__(
        self, client: AsyncClient, *, server: str, subject: SubjectOf, facts: FactsOf, namespace: str = "Mandate"
    ) -> None:
        """Guard tools that are stored as `<server>/<tool>`."""
        self._client = client
        self._asker = Asker(server=server, subject=subject, facts=facts, namespace=namespace)
        self._reporter = Reporter(client)
        self._allowed: dict[str, tuple[Decision, Mapping[str, Any]]] = {}

    def protect(self, tool: FunctionTool) -> FunctionTool:
        """Give the tool as it is to be handed to an agent. This guard decides after the tool's own guardrails."""

        async def decide(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            return await self._decide(tool, data)

        async def report(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
            return self._report(data)

        return dataclasses.replace(
            tool,
            tool_input_guardrails=[*(tool.tool_input_guardrails or []), ToolInputGuardrail(decide, "mandate")],
            tool_output_guardrails=[ToolOutputGuardrail(report, "mandate"), *(tool.tool_output_guardrails or [])],
        )

    async def flush(self) -> None:
        """Wait until the outcomes so far are reported."""
        await self._reporter.flush()

    async def _decide(self, tool: FunctionTool, data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        call_id = data.context.tool_call_id
        try:
            arguments = arguments_of(data.context.tool_arguments)
            question = self._asker.question(
                Call(
                    kind="call_tool",
                    name=tool.name,
                    arguments=arguments,
                    call_id=call_id,
                    digest=digest_of(define(tool)),
                )
            )
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return _denied(unasked(error))
        decision = await self._client.authorize(question)
        if not decision:
            self._reporter.report(Report(decision=decision, outcome=Outcome.BLOCKED))
            return _denied(decision)
        self._remember(call_id, decision, arguments)
        return ToolGuardrailFunctionOutput.allow({"decision_id": decision.decision_id})

    def _remember(self, call_id: str, decision: Decision, arguments: Mapping[str, Any]) -> None:
        self._allowed[call_id] = (decision, arguments)
        if len(self._allowed) > MOST_REMEMBERED:
            self._allowed.pop(next(iter(self._allowed)))

    def _report(self, data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
        """Report that a tool answered. One that raised and ends the run is not heard of here."""
        known = self._allowed.pop(data.context.tool_call_id, None)
        if known is not None:
            decision, arguments = known
            self._reporter.report(Report(decision=decision, outcome=Outcome.EXECUTED, arguments=arguments))
        return ToolGuardrailFunctionOutput.allow()


def _denied(decision: Decision) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput.reject_content(decision.denial, {"decision_id": decision.decision_id})
