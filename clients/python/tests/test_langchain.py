"""LangChain agents with a scripted model: what is denied does not run, and the model reads why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from files_world import ANA_BOT, FACTS, files_service
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from service import Service

from mandate_client import AsyncClient, Client, Options
from mandate_client.langchain import MandateMiddleware, define, define_all
from mandate_client.tool_calls import FactsOf, digest_of


class Scripted(GenericFakeChatModel):
    """A model that says what the test says."""

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        return self


class Agent:
    """An agent with the filesystem's tools, and what was done with them."""

    def __init__(self, url: str, *, waits: bool, facts: FactsOf = FACTS, deadline: float = 30) -> None:
        self.done: list[str] = []
        self.waits = waits
        options = Options(deadline=deadline)
        self.client = Client(url, options)
        self.async_client = AsyncClient(url, options) if waits else None
        self.guard = MandateMiddleware(
            self.client, server="filesystem", subject=ANA_BOT, facts=facts, async_client=self.async_client
        )

    def tools(self) -> list[BaseTool]:
        @tool
        def write_file(path: str, content: str) -> str:
            """Write a file."""
            self.done.append(f"write {path} {content}")
            return "written"

        @tool
        def read_file(path: str) -> str:
            """Read a file."""
            self.done.append(f"read {path}")
            return "content"

        @tool
        def get_file_info(path: str) -> str:
            """Fail."""
            raise OSError(path)

        @tool
        def directory_tree(path: str) -> str:
            """Show a tree."""
            self.done.append(f"tree {path}")
            return "tree"

        return [write_file, read_file, get_file_info, directory_tree]

    def call(self, name: str, **arguments: Any) -> ToolMessage:
        """Have the model call a tool, and give what it is told."""
        said: list[AIMessage | str] = [
            AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": "call-1"}]),
            AIMessage("done"),
        ]
        agent: Any = create_agent(Scripted(messages=iter(said)), self.tools(), middleware=[self.guard])
        asked = {"messages": [{"role": "user", "content": "go"}]}
        result = asyncio.run(self._wait(agent, asked)) if self.waits else agent.invoke(asked)
        return next(message for message in result["messages"] if isinstance(message, ToolMessage))

    async def _wait(self, agent: Any, asked: Any) -> Any:
        try:
            return await agent.ainvoke(asked)
        finally:
            if self.async_client is not None:
                await self.async_client.close()

    def close(self) -> None:
        self.client.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def agent_of(request: pytest.FixtureRequest) -> Callable[..., Agent]:
    """Make an agent that runs in ordinary code, or in asyncio."""
    return lambda url, **changed: Agent(url, waits=request.param, **changed)


def test_an_allowed_tool_runs_and_a_denied_one_does_not(served: Service, agent_of: Callable[..., Agent]) -> None:
    agent = agent_of(served.url)
    assert agent.call("write_file", path="/workspace/a", content="x").content == "written"
    denied = agent.call("write_file", path="/etc/passwd", content="x")
    assert denied.status == "error"
    assert "Write below /workspace only." in str(denied.content)
    assert "[forbidden, decision " in str(denied.content)
    assert "no_permit" in str(agent.call("directory_tree", path="/").content)
    agent.close()
    assert agent.done == ["write /workspace/a x"]


def test_a_tool_that_the_agent_does_not_have_is_denied(served: Service, agent_of: Callable[..., Agent]) -> None:
    agent = agent_of(served.url)
    assert "unknown_resource" in str(agent.call("shell", command="ls").content)
    agent.close()
    assert agent.done == []


def test_nobody_to_ask_denies(agent_of: Callable[..., Agent]) -> None:
    service = files_service()
    agent = agent_of(service.url, deadline=1)
    service.kill()
    message = str(agent.call("read_file", path="a").content)
    agent.close()
    assert "unavailable" in message or "deadline_exceeded" in message
    assert agent.done == []


def test_what_the_host_cannot_say_denies(served: Service, agent_of: Callable[..., Agent]) -> None:
    def broken(_: object) -> Any:
        raise KeyError("secret-of-the-host")

    agent = agent_of(served.url, facts=broken)
    message = str(agent.call("read_file", path="a").content)
    agent.close()
    assert "not_asked" in message
    assert "secret-of-the-host" not in message
    assert agent.done == []


def test_outcomes_are_reported(agent_of: Callable[..., Agent]) -> None:
    service = files_service()
    agent = agent_of(service.url)
    agent.call("read_file", path="a")
    agent.call("write_file", path="/etc/a", content="x")
    with pytest.raises(OSError, match="b"):
        agent.call("get_file_info", path="b")
    agent.close()
    records = service.records()
    outcomes = [record for record in records if record["kind"] == "outcome"]
    assert [record["outcome"] for record in outcomes] == ["executed", "blocked", "failed"]
    assert all("findings" not in record for record in outcomes)
    decision = next(record for record in records if record["kind"] == "decision")
    assert decision["evidence"]["tool_call_id"] == "call-1"
    assert digest_of(define(agent.tools()[1])) in str(decision["context"])


def test_definitions_are_those_that_an_import_reads(served: Service) -> None:
    agent = Agent(served.url, waits=False)
    told = define_all(agent.tools(), "filesystem")
    agent.close()
    assert told["server"] == "filesystem"
    assert told["tools"][1] == define(agent.tools()[1])
    assert told["tools"][1]["inputSchema"]["required"] == ["path"]
