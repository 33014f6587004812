"""The filesystem server's tools under policies of their own, for the integrations' tests."""

from __future__ import annotations

from questions import SESSION, grant
from service import Service, small_service

from mandate_client import agent, delegation
from mandate_client.tool_calls import Facts, Subject

FACTS = Facts(session=SESSION, touches=[])
ANA_BOT = Subject(principal=agent("code-bot"), delegations=[delegation("files")])

# The policies about tools without their definitions' digests: these tools are not those that were imported.
POLICY = """
@id("read") permit (principal, action in Mandate::Action::"call_tool", resource)
when { resource in Mandate::Toolset::"read-only" && resource != Mandate::Tool::"filesystem/directory_tree" };
@id("write") permit (principal, action == Mandate::Action::"filesystem/write_file", resource);
@id("workspace") @reason("Write below /workspace only.")
forbid (principal is Mandate::Agent, action == Mandate::Action::"filesystem/write_file", resource)
unless { context.input.path like "/workspace/*" };
@id("list") permit (principal, action == Mandate::Action::"list_tools", resource);
@id("notes") permit (principal, action == Mandate::Action::"read_resource", resource)
when { context.uri == "notes://today" };
"""

ALL = ["call_tool", "list_tools", "read_resource", "get_prompt"]
GRANTS = [
    grant("files", to="code-bot", actions=ALL, server="filesystem"),
    grant("calls-only", to="code-bot", actions=["call_tool"], server="filesystem"),
]


def files_service() -> Service:
    return small_service(policy=POLICY, grants=GRANTS)
