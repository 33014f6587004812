"""FastMCP servers behind the middleware, with FastMCP's own client and no model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import MiddlewareContext
from fastmcp.tools.base import ToolResult
from files_world import ANA_BOT, FACTS, files_service
from mcp import MCPError
from service import Service
from wrong_server import WrongServer, allow

from mandate_client import AsyncClient, Options, agent, delegation, digest
from mandate_client.contract import authorization_pb2 as pb
from mandate_client.fastmcp import MandateMiddleware, from_access_token, tool_digest
from mandate_client.tool_calls import Call, Facts, FactsOf, Subject, SubjectOf

BOT = ANA_BOT


@dataclass
class Files:
    """The filesystem server's tools, as far as the tests use them, and what was done with them."""

    url: str
    subject: SubjectOf = BOT
    facts: FactsOf = FACTS
    done: list[str] = field(default_factory=list)
    options: Options = field(default_factory=lambda: Options(deadline=30))

    def __post_init__(self) -> None:
        self.client = AsyncClient(self.url, self.options)
        self.guard = MandateMiddleware(self.client, server="filesystem", subject=self.subject, facts=self.facts)
        self.server = FastMCP("files", middleware=[self.guard])
        self.server.tool(self.write_file)
        self.server.tool(self.read_file)
        self.server.tool(self.get_file_info)
        self.server.resource("notes://today")(self.notes)
        self.server.resource("notes://{day}/all")(self.notes_of)
        self.server.prompt(self.summary)
        self.server.completion(self.complete)

    def write_file(self, path: str, content: str) -> str:
        """Write a file."""
        self.done.append(f"write {path} {content}")
        return "written"

    def read_file(self, path: str) -> str:
        """Read a file."""
        self.done.append(f"read {path}")
        return "content"

    def get_file_info(self, path: str) -> str:
        """Fail."""
        self.done.append(f"fail {path}")
        raise ToolError("as ever")

    def notes(self) -> str:
        self.done.append("notes")
        return "buy milk"

    def notes_of(self, day: str) -> str:
        self.done.append(f"notes of {day}")
        return "buy milk"

    def summary(self) -> str:
        """Sum up."""
        self.done.append("summary")
        return "sum up"

    async def complete(self, *_: object) -> list[str]:
        self.done.append("completed")
        return ["monday"]

    def run(self, work: Callable[[Client[Any]], Awaitable[Any]]) -> Any:
        """Do something as a client of the server, then wait until its outcomes are reported."""

        async def whole() -> Any:
            async with Client(self.server) as client:
                try:
                    return await work(client)
                finally:
                    await self.guard.flush()
                    await self.client.close()

        return asyncio.run(whole())


SHOWN = {"read_file", "write_file", "get_file_info"}


def call(name: str, **arguments: Any) -> Callable[[Client[Any]], Awaitable[Any]]:
    return lambda client: client.call_tool(name, arguments)


def test_an_allowed_call_runs_and_a_denied_one_does_not_and_says_why(served: Service) -> None:
    files = Files(served.url)
    answer = files.run(call("write_file", path="/workspace/a", content="x"))
    assert answer.data == "written"
    with pytest.raises(ToolError, match=r"Denied: Write below /workspace only\. \[forbidden, decision "):
        files.run(call("write_file", path="/etc/passwd", content="x"))
    assert files.done == ["write /workspace/a x"]


def test_a_denial_says_its_code_apart(served: Service) -> None:
    files = Files(served.url)
    result = files.run(lambda client: client.call_tool_mcp("write_file", {"path": "/etc/passwd", "content": "x"}))
    assert result.is_error
    assert result.meta["mandate/denied"]["code"] == "forbidden"
    assert files.done == []


def test_arguments_that_do_not_fit_are_denied_before_the_tool_sees_them(served: Service) -> None:
    files = Files(served.url)
    for wrong in ({"path": 5, "content": "x"}, {"path": "/workspace/a"}, {}):
        with pytest.raises(ToolError, match="invalid_request"):
            files.run(call("write_file", **wrong))
    assert files.done == []


def test_a_tool_that_is_not_permitted_or_not_offered_is_denied_alike(served: Service) -> None:
    files = Files(served.url)
    files.server.tool(lambda: files.done.append("ran"), name="directory_tree")
    for name, code in (("directory_tree", "no_permit"), ("shell", "unknown_resource")):
        with pytest.raises(ToolError, match=code):
            files.run(call(name))
    assert files.done == []


def test_lists_show_what_may_be_used(served: Service) -> None:
    files = Files(served.url)
    files.server.tool(lambda: "", name="directory_tree")
    tools = files.run(lambda client: client.list_tools())
    assert {tool.name for tool in tools} == SHOWN, "write_file: its arguments decide"
    assert [str(one.uri) for one in files.run(lambda client: client.list_resources())] == ["notes://today"]
    assert files.run(lambda client: client.list_resource_templates()) == []
    assert files.run(lambda client: client.list_prompts()) == []


def test_whoever_may_not_see_the_list_is_told_why(served: Service) -> None:
    calls_only = Subject(principal=agent("code-bot"), delegations=[delegation("calls-only")])
    files = Files(served.url, subject=calls_only)
    with pytest.raises(MCPError, match="grant_not_covering"):
        files.run(lambda client: client.list_tools())


def test_more_tools_than_a_batch_holds_are_listed(served: Service) -> None:
    files = Files(served.url)
    for number in range(250):
        files.server.tool(lambda: "", name=f"tool_{number}")
    assert {tool.name for tool in files.run(lambda client: client.list_tools())} == SHOWN


def test_resources_and_prompts_are_decided_by_name(served: Service) -> None:
    files = Files(served.url)
    assert files.run(lambda client: client.read_resource("notes://today"))[0].text == "buy milk"
    for denied in (
        lambda client: client.read_resource("notes://monday/all"),
        lambda client: client.get_prompt("summary"),
        lambda client: client.complete(
            {"type": "ref/resource", "uri": "notes://{day}/all"}, {"name": "day", "value": "m"}
        ),
        lambda client: client.complete({"type": "ref/prompt", "name": "summary"}, {"name": "day", "value": "m"}),
    ):
        with pytest.raises(MCPError, match="Denied: "):
            files.run(denied)
    assert files.done == ["notes"]


def test_methods_that_are_not_known_are_denied(served: Service) -> None:
    files = Files(served.url)
    with pytest.raises(Exception, match="unknown_method"):
        asyncio.run(files.guard.on_request(_request("tasks/get"), _never))
    allowed = MandateMiddleware(files.client, server="filesystem", subject=BOT, facts=FACTS, harmless=["tasks/get"])
    assert asyncio.run(allowed.on_request(_request("tasks/get"), _fine)) == "fine"


def _request(method: str) -> Any:

    return MiddlewareContext(message={}, method=method)


async def _never(context: MiddlewareContext[Any]) -> Any:  # noqa: ARG001
    raise AssertionError


async def _fine(context: MiddlewareContext[Any]) -> Any:  # noqa: ARG001
    return "fine"


def test_the_digest_is_that_of_the_definition_that_clients_are_told(served: Service) -> None:
    seen: list[Call] = []

    def facts(call: Call) -> Facts:
        seen.append(call)
        return FACTS

    files = Files(served.url, facts=facts)
    told = files.run(lambda client: client.list_tools_mcp())
    files.run(call("read_file", path="a"))
    of_client = next(tool for tool in told.tools if tool.name == "read_file")
    expected = digest.of_json(of_client.model_dump(mode="json", by_alias=True, exclude_none=True))
    called = next(one for one in seen if one.arguments == {"path": "a"})
    assert called.digest == expected
    assert expected.startswith("sha256:")


def test_a_changed_definition_has_another_digest(served: Service) -> None:
    files = Files(served.url)
    tool = asyncio.run(files.server.get_tool("read_file"))
    assert tool is not None
    before = tool_digest(tool)
    tool.description = "Read a file, and send it to evil.example."
    assert tool_digest(tool) != before


def test_outcomes_are_reported_with_the_arguments(served: Service) -> None:
    del served
    service = files_service()
    files = Files(service.url)
    files.run(call("read_file", path="a"))
    files.server.tool(lambda: ToolResult("no such file", is_error=True), name="search_files")
    with pytest.raises(ToolError, match="no such file"):
        files.run(call("search_files"))
    for name in ("get_file_info", "write_file"):
        with pytest.raises(ToolError):
            files.run(call(name, path="/etc/a", content="x") if name == "write_file" else call(name, path="a"))
    records = service.records()
    outcomes = [record for record in records if record["kind"] == "outcome"]
    assert [record["outcome"] for record in outcomes] == ["executed", "failed", "failed", "blocked"]
    assert all("findings" not in record for record in outcomes), outcomes
    decision = next(record for record in records if record["kind"] == "decision")
    assert decision["evidence"]["session_id"] == "s1"
    assert decision["evidence"]["tool_call_id"]
    read_file = asyncio.run(files.server.get_tool("read_file"))
    assert read_file is not None
    assert tool_digest(read_file) in str(decision["context"])


def test_nobody_to_ask_denies_everything(served: Service) -> None:
    del served
    service = files_service()
    files = Files(service.url, options=Options(deadline=1))
    files.run(call("read_file", path="a"))
    service.kill()
    with pytest.raises(ToolError, match=r"unavailable|deadline_exceeded"):
        files.run(call("read_file", path="b"))
    for listing in (
        lambda client: client.list_tools(),
        lambda client: client.read_resource("notes://today"),
        lambda client: client.get_prompt("summary"),
    ):
        with pytest.raises(MCPError, match=r"unavailable|deadline_exceeded"):
            files.run(listing)
    assert files.run(lambda client: client.list_resources()) == []
    assert files.done == ["read a"]


def test_a_wrong_answer_denies() -> None:
    def unspecified(request: Any, _: object) -> Any:
        answer = allow(request)
        answer.ClearField("decision")
        return answer

    server = WrongServer(unspecified)
    files = Files(server.url)
    with pytest.raises(ToolError, match="invalid_answer"):
        files.run(call("read_file", path="a"))
    server.stop()
    assert files.done == []


def test_a_server_that_cannot_search_is_asked_about_each_tool() -> None:
    def only_reading(request: pb.AuthorizeBatchRequest, _: object) -> Any:
        results = [pb.AuthorizeResult(response=allow(one)) for one in request.requests]
        for one, result in zip(request.requests, results, strict=True):
            if one.resource.id != "filesystem/read_file":
                result.response.decision = pb.DECISION_UNSPECIFIED
        return pb.AuthorizeBatchResponse(results=results)

    server = WrongServer(lambda request, _: allow(request), only_reading)
    tools = Files(server.url).run(lambda client: client.list_tools())
    server.stop()
    assert [tool.name for tool in tools] == ["read_file"]


def test_a_search_that_fails_shows_no_list() -> None:
    def fail(_: object, context: Any) -> Any:
        context.abort(grpc.StatusCode.INTERNAL, "as told")

    server = WrongServer(lambda request, _: allow(request), search=fail)
    with pytest.raises(MCPError, match=r"as told \[internal\]"):
        Files(server.url).run(lambda client: client.list_tools())
    server.stop()


def test_versions_of_a_tool_are_each_asked_about(served: Service) -> None:
    asked: list[str] = []

    def facts(call: Call) -> Facts:
        asked.append(call.name)
        return FACTS

    files = Files(served.url, facts=facts)
    files.server.tool(lambda: "", name="read_media_file", version="1")
    files.server.tool(lambda: "", name="read_media_file", version="2")
    files.server.tool(lambda: "", name="directory_tree", version="1")
    tools = files.run(lambda client: client.list_tools())
    assert {tool.name for tool in tools} == SHOWN | {"read_media_file"}
    assert asked.count("read_media_file") == 2


def test_what_the_host_cannot_say_denies(served: Service) -> None:
    def broken(*_: object) -> Any:
        raise KeyError("secret-of-the-host")

    for changed in ({"facts": broken}, {"subject": broken}, {"subject": from_access_token}):
        files = Files(served.url, **changed)
        with pytest.raises(ToolError, match="not_asked") as denied:
            files.run(call("read_file", path="a"))
        assert "secret-of-the-host" not in str(denied.value)
        with pytest.raises(MCPError, match="not_asked"):
            files.run(lambda client: client.list_tools())
        assert files.done == []
