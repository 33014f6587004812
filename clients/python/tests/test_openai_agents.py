"""Agents of the OpenAI SDK with a scripted model: what is denied does not run, and the model reads why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents import Agent, FunctionTool, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from files_world import ANA_BOT, FACTS, files_service
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from service import Service

from mandate_client import AsyncClient, Options
from mandate_client.openai_agents import MandateGuard, arguments_of, define, define_all
from mandate_client.tool_calls import FactsOf, digest_of


class Scripted(Model):
    """A model that calls a tool once, and then keeps what it was told."""

    def __init__(self, name: str, arguments: str) -> None:
        self.called = ResponseFunctionToolCall(
            type="function_call", call_id="call-1", name=name, arguments=arguments, id="fc-1"
        )
        self.told: list[str] = []

    async def get_response(self, *_: Any, **asked: Any) -> ModelResponse:
        self.told = [str(item["output"]) for item in asked["input"] if item.get("type") == "function_call_output"]
        done = ResponseOutputMessage(
            id="m",
            content=[ResponseOutputText(text="done", type="output_text", annotations=[])],
            role="assistant",
            status="completed",
            type="message",
        )
        return ModelResponse(output=[done if self.told else self.called], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


class Assistant:
    """An agent with the filesystem's tools, and what was done with them."""

    def __init__(self, url: str, *, facts: FactsOf = FACTS, deadline: float = 30) -> None:
        self.done: list[str] = []
        self.client = AsyncClient(url, Options(deadline=deadline))
        self.guard = MandateGuard(self.client, server="filesystem", subject=ANA_BOT, facts=facts)

    def tools(self) -> list[FunctionTool]:
        @function_tool
        def write_file(path: str, content: str) -> str:
            """Write a file."""
            self.done.append(f"write {path} {content}")
            return "written"

        @function_tool
        def read_file(path: str) -> str:
            """Read a file."""
            self.done.append(f"read {path}")
            return "content"

        @function_tool
        def directory_tree(path: str) -> str:
            """Show a tree."""
            self.done.append(f"tree {path}")
            return "tree"

        return [write_file, read_file, directory_tree]

    def call(self, name: str, arguments: str) -> str:
        """Have the model call a tool, and give what it is told."""
        return asyncio.run(self._call(name, arguments))

    async def _call(self, name: str, arguments: str) -> str:
        model = Scripted(name, arguments)
        tools: list[Any] = [self.guard.protect(tool) for tool in self.tools()]
        agent = Agent(name="assistant", model=model, tools=tools)
        await Runner.run(agent, "go", run_config=RunConfig(tracing_disabled=True))
        await self.guard.flush()
        await self.client.close()
        return model.told[0]


def call(assistant: Assistant, name: str, **arguments: Any) -> str:
    return assistant.call(name, json.dumps(arguments))


def test_an_allowed_tool_runs_and_a_denied_one_does_not(served: Service) -> None:
    assistant = Assistant(served.url)
    assert call(assistant, "write_file", path="/workspace/a", content="x") == "written"
    denied = call(assistant, "write_file", path="/etc/passwd", content="x")
    assert denied.startswith("Denied: Write below /workspace only. [forbidden, decision ")
    assert "no_permit" in call(assistant, "directory_tree", path="/")
    assert assistant.done == ["write /workspace/a x"]


@pytest.mark.parametrize(
    "arguments", ['{"path": "/workspace/a", "path": "/etc/passwd", "content": "x"}', "{", "[]", '{"path": NaN}', "5"]
)
def test_arguments_that_can_be_read_in_two_ways_or_none_are_denied(served: Service, arguments: str) -> None:
    assistant = Assistant(served.url)
    assert "not_asked" in assistant.call("write_file", arguments)
    assert assistant.done == []


def test_no_arguments_are_an_empty_object() -> None:
    assert arguments_of("") == {}


def test_nobody_to_ask_denies() -> None:
    service = files_service()
    assistant = Assistant(service.url, deadline=1)
    service.kill()
    message = call(assistant, "read_file", path="a")
    assert "unavailable" in message or "deadline_exceeded" in message
    assert assistant.done == []


def test_what_the_host_cannot_say_denies(served: Service) -> None:
    def broken(_: object) -> Any:
        raise KeyError("secret-of-the-host")

    assistant = Assistant(served.url, facts=broken)
    message = call(assistant, "read_file", path="a")
    assert "not_asked" in message
    assert "secret-of-the-host" not in message
    assert assistant.done == []


def test_outcomes_are_reported() -> None:
    service = files_service()
    assistant = Assistant(service.url)
    call(assistant, "read_file", path="a")
    call(assistant, "write_file", path="/etc/a", content="x")
    records = service.records()
    decision = next(record for record in records if record["kind"] == "decision")
    assert digest_of(define(assistant.tools()[1])) in str(decision["context"])
    outcomes = [record for record in records if record["kind"] == "outcome"]
    assert [record["outcome"] for record in outcomes] == ["executed", "blocked"]
    assert all("findings" not in record for record in outcomes)


def test_definitions_are_those_that_an_import_reads(served: Service) -> None:
    tools = Assistant(served.url).tools()
    assert define_all(tools, "filesystem")["tools"][1] == define(tools[1])
    assert define(tools[1])["inputSchema"]["required"] == ["path"]
