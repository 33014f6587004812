"""Middleware for FastMCP servers: each call is decided, and lists show what may be used.

Add it first, so that nothing runs or answers before it. What a server's own middleware does to a call afterwards is not
decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, TypeVar

import mcp_types as mcp
from fastmcp.exceptions import AuthorizationError, ToolError
from fastmcp.prompts.base import Prompt, PromptResult
from fastmcp.resources.base import Resource, ResourceResult
from fastmcp.resources.template import ResourceTemplate
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import Tool, ToolResult
from fastmcp.utilities.versions import VersionSpec
from mcp import MCPError

from mandate_client import digest
from mandate_client.async_client import AsyncClient
from mandate_client.decision import Decision
from mandate_client.outcome import Outcome, Report
from mandate_client.reporting import Reporter
from mandate_client.search import Search, SearchFailed
from mandate_client.tool_calls import Asker, Call, FactsOf, Subject, SubjectOf, may_be_shown, unasked

Item = TypeVar("Item", Tool, Resource, ResourceTemplate, Prompt)
Result = TypeVar("Result")

MOST_IN_A_BATCH = 100
MOST_IN_A_SEARCH = 1000

DENIED = -32001
"""The code of JSON-RPC that a denial has where MCP has no result to tell it by."""

# Methods that give nothing away, and those that the hooks below decide.
HARMLESS = frozenset(
    {"initialize", "server/discover", "ping", "logging/setLevel", "resources/unsubscribe", "tools/call", "tools/list"}
    | {"resources/read", "resources/list", "resources/templates/list", "prompts/get", "prompts/list"}
)


def from_access_token() -> Subject:
    """Take the subject from the token of the HTTP request, as the server's own authentication has let it through."""
    token = get_access_token()
    if token is None:
        raise PermissionError("the request has no access token")
    return Subject(credentials=token.token)


def tool_digest(tool: Tool) -> str:
    """Digest a tool's definition as the server tells it in `tools/list`."""
    told = tool.to_mcp_tool().model_dump(mode="json", by_alias=True, exclude_none=True)
    return digest.of_json(told)


class MandateMiddleware(Middleware):
    """Asks Mandate before anything of the server is used; whatever goes wrong denies."""

    def __init__(
        self,
        client: AsyncClient,
        *,
        server: str,
        subject: SubjectOf,
        facts: FactsOf,
        namespace: str = "Mandate",
        harmless: Collection[str] = (),
    ) -> None:
        """Guard a server whose name in Mandate is `server`.

        `harmless` names methods of extensions that anybody may use; any that this middleware does not know are denied.
        """
        self._client = client
        self._asker = Asker(server=server, subject=subject, facts=facts, namespace=namespace)
        self._harmless = HARMLESS | frozenset(harmless)
        self._reporter = Reporter(client)

    async def flush(self) -> None:
        """Wait until the outcomes so far are reported."""
        await self._reporter.flush()

    # ── Use ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp.CallToolRequestParams],
        call_next: CallNext[mcp.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Decide a call by the tool's definition and its arguments."""
        arguments = context.message.arguments or {}
        decision = await self._decide_call(context, arguments)
        if not decision:
            self._reporter.report(Report(decision=decision, outcome=Outcome.BLOCKED))
            return _denied(decision)
        return await self._run(decision, call_next, context, arguments)

    async def on_read_resource(
        self,
        context: MiddlewareContext[mcp.ReadResourceRequestParams],
        call_next: CallNext[mcp.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Decide whether this resource may be read."""
        decision = await self._require("read_resource", str(context.message.uri), context)
        return await self._run(decision, call_next, context)

    async def check_resource_access(self, context: MiddlewareContext[mcp.ReadResourceRequestParams]) -> None:
        """Decide whether anything of this resource may be known."""
        try:
            await self._require("read_resource", str(context.message.uri), context)
        except MCPError as denied:
            raise AuthorizationError(denied.error.message) from None

    async def on_get_prompt(
        self,
        context: MiddlewareContext[mcp.GetPromptRequestParams],
        call_next: CallNext[mcp.GetPromptRequestParams, PromptResult],
    ) -> PromptResult:
        """Decide whether this prompt may be had."""
        decision = await self._require("get_prompt", context.message.name, context)
        return await self._run(decision, call_next, context)

    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:  # noqa: ANN401
        """Decide what has no hook of its own, and deny methods that are not known here."""
        if context.method not in self._harmless:
            for kind, name in _used(context.method, context.message):
                await self._require(kind, name, context)
        return await call_next(context)

    # ── Lists ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def on_list_tools(
        self,
        context: MiddlewareContext[mcp.ListToolsRequest],
        call_next: CallNext[mcp.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """Show the tools that may be called, to those who may see the server's list."""
        await self._require("list_tools", "", context)
        tools = await call_next(context)
        try:
            # In several versions a tool has several definitions, and a search knows one of each name.
            if len({tool.name for tool in tools}) == len(tools):
                return await self._callable(tools)
        except SearchFailed as failed:
            if failed.code != "unimplemented":
                raise MCPError(DENIED, f"Denied: {failed.message} [{failed.code}]") from None
        return await self._usable(
            tools,
            lambda tool: Call(kind="call_tool", name=tool.name, digest=tool_digest(tool), call_id=_call_id(context)),
        )

    async def on_list_resources(
        self,
        context: MiddlewareContext[mcp.ListResourcesRequest],
        call_next: CallNext[mcp.ListResourcesRequest, Sequence[Resource]],
    ) -> Sequence[Resource]:
        """Show the resources that may be read."""
        return await self._usable(
            await call_next(context),
            lambda resource: Call(kind="read_resource", name=str(resource.uri), call_id=_call_id(context)),
        )

    async def on_list_resource_templates(
        self,
        context: MiddlewareContext[mcp.ListResourceTemplatesRequest],
        call_next: CallNext[mcp.ListResourceTemplatesRequest, Sequence[ResourceTemplate]],
    ) -> Sequence[ResourceTemplate]:
        """Show the templates whose text, taken as a URI, may be read."""
        return await self._usable(
            await call_next(context),
            lambda template: Call(kind="read_resource", name=template.uri_template, call_id=_call_id(context)),
        )

    async def on_list_prompts(
        self,
        context: MiddlewareContext[mcp.ListPromptsRequest],
        call_next: CallNext[mcp.ListPromptsRequest, Sequence[Prompt]],
    ) -> Sequence[Prompt]:
        """Show the prompts that may be had."""
        return await self._usable(
            await call_next(context),
            lambda prompt: Call(kind="get_prompt", name=prompt.name, call_id=_call_id(context)),
        )

    async def _callable(self, tools: Sequence[Tool]) -> list[Tool]:
        """Search for those that may be called, with some arguments at least."""
        shown: list[Tool] = []
        for start in range(0, len(tools), MOST_IN_A_SEARCH):
            some = tools[start : start + MOST_IN_A_SEARCH]
            found = await self._client.search(self._search(some))
            ids = {one.uid.id for one in found}
            shown += [tool for tool in some if self._asker.tool_id(tool.name) in ids]
        return shown

    def _search(self, tools: Sequence[Tool]) -> Search:
        try:
            return self._asker.search({tool.name: tool_digest(tool) for tool in tools})
        except Exception as error:  # noqa: BLE001 - it is raised as what it is
            raise SearchFailed("not_asked", f"The question could not be made: {type(error).__name__}.") from None

    async def _usable(self, items: Sequence[Item], call_of: Callable[[Item], Call]) -> list[Item]:
        shown: list[Item] = []
        for start in range(0, len(items), MOST_IN_A_BATCH):
            some = items[start : start + MOST_IN_A_BATCH]
            decisions = await self._decide_all([call_of(item) for item in some])
            shown += [item for item, decision in zip(some, decisions, strict=True) if _is_usable(item, decision)]
        return shown

    # ── Deciding ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _decide_call(
        self, context: MiddlewareContext[mcp.CallToolRequestParams], arguments: Mapping[str, Any]
    ) -> Decision:
        """Decide a call of the tool that would run; one that is not offered is denied like one that is not known."""
        try:
            tool = await _offered(context)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return unasked(error)
        if tool is None:
            return Decision.unanswered("unknown_resource", "The server offers no such tool.")
        return await self._decide(
            lambda: Call(
                kind="call_tool",
                name=tool.name,
                arguments=arguments,
                call_id=_call_id(context),
                digest=tool_digest(tool),
            )
        )

    async def _require(
        self,
        kind: Literal["list_tools", "read_resource", "get_prompt"],
        name: str,
        context: MiddlewareContext[Any],
    ) -> Decision:
        decision = await self._decide(lambda: Call(kind=kind, name=name, call_id=_call_id(context)))
        if not decision:
            self._reporter.report(Report(decision=decision, outcome=Outcome.BLOCKED))
            raise MCPError(DENIED, decision.denial, _told(decision))
        return decision

    async def _decide(self, call: Callable[[], Call]) -> Decision:
        try:
            question = self._asker.question(call())
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return unasked(error)
        return await self._client.authorize(question)

    async def _decide_all(self, calls: Sequence[Call]) -> list[Decision]:
        try:
            questions = [self._asker.question(call) for call in calls]
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is not an Allow
            return [unasked(error)] * len(calls)
        return await self._client.authorize_batch(questions)

    async def _run(
        self,
        decision: Decision,
        call_next: CallNext[Any, Result],
        context: MiddlewareContext[Any],
        arguments: Mapping[str, Any] | None = None,
    ) -> Result:
        """Do what is allowed, and report what came of it."""
        outcome = Outcome.FAILED
        try:
            result = await call_next(context)
            outcome = Outcome.FAILED if getattr(result, "is_error", False) else Outcome.EXECUTED
        finally:
            self._reporter.report(Report(decision=decision, outcome=outcome, arguments=arguments))
        return result


def _is_usable(item: object, decision: Decision) -> bool:
    return may_be_shown(decision) if isinstance(item, Tool) else decision.allowed


def _used(method: str | None, message: object) -> list[tuple[Literal["read_resource", "get_prompt"], str]]:
    """Say what a request without a hook uses. Raises for one that says nothing that can be decided."""
    params = message if isinstance(message, Mapping) else {}
    match method, params:
        case "completion/complete", {"ref": {"type": "ref/prompt", "name": str(name)}}:
            return [("get_prompt", name)]
        case "completion/complete", {"ref": {"type": "ref/resource", "uri": str(uri)}}:
            return [("read_resource", uri)]
        case "resources/subscribe", {"uri": str(uri)}:
            return [("read_resource", uri)]
        case "subscriptions/listen", {"notifications": Mapping() as wanted}:
            return [("read_resource", str(uri)) for uri in wanted.get("resourceSubscriptions") or ()]
    raise MCPError(DENIED, f"Denied: nothing is known here of the method {method!r}. [unknown_method]")


def _denied(decision: Decision) -> ToolResult:
    """Tell a denial as a result, which the agent hands to its model, where an error of the protocol may end the run."""
    return ToolResult(content=decision.denial, is_error=True, meta={"mandate/denied": _told(decision)})


def _told(decision: Decision) -> dict[str, str]:
    return {"code": decision.reason.code if decision.reason else "", "decision_id": decision.decision_id}


async def _offered(context: MiddlewareContext[mcp.CallToolRequestParams]) -> Tool | None:
    """Find the tool that would run, in the version that was asked for."""
    if context.fastmcp_context is None:
        return None
    server = context.fastmcp_context.fastmcp
    return await server.get_tool(context.message.name, version=_version(context.message.meta))


def _version(meta: object) -> VersionSpec | None:
    asked = meta.get("fastmcp") if isinstance(meta, Mapping) else None
    version = asked.get("version") if isinstance(asked, Mapping) else None
    match version:
        case None:
            return None
        case str():
            return VersionSpec(eq=version)
        case Mapping() if version.keys() <= {"eq", "gte", "lt"}:
            return VersionSpec(eq=version.get("eq"), gte=version.get("gte"), lt=version.get("lt"))
    raise ToolError("a version is a text, or bounds")


def _call_id(context: MiddlewareContext[Any]) -> str:
    known = context.fastmcp_context
    return str(known.request_id) if known is not None and known.request_context is not None else ""
