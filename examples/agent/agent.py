"""A scripted agent: it does what a model might come to do, over MCP, and says what it hears."""

import asyncio
import os

from mcp import ClientSession, StdioServerParameters, stdio_client

MANDATE, WORLD, TOOLS = os.environ["MANDATE"], os.environ["WORLD"], os.environ["TOOLS"]
PROJECT = os.getcwd()


def proxied(name, *command):
    """A server behind `mandate proxy`: all that an agent's configuration has to change."""
    folders = [f"--{kind}={WORLD}/{kind}" for kind in ("policies", "schemas", "entities")]
    data = f"--data-dir={WORLD}/data/{name}"
    who = ["--agent=coder", "--delegation=ana-coder", "--session=example", "--attended"]
    return StdioServerParameters(
        command=MANDATE, args=["proxy", f"--name={name}", *who, *folders, data, "--", *command]
    )


async def call(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    said = " ".join(part.text for part in result.content).strip().splitlines() or [""]
    mark = "refused" if getattr(result, "is_error", None) or getattr(result, "isError", None) else "done   "
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items() if name != "repo_path")
    print(f"  {mark}  {tool}({shown})\n           {said[0]}", flush=True)


async def main():
    quiet = open(f"{WORLD}/stderr", "w")
    filesystem = proxied("filesystem", f"{TOOLS}/node_modules/.bin/mcp-server-filesystem", PROJECT)
    async with stdio_client(filesystem, errlog=quiet) as pipes, ClientSession(*pipes) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        print(f"filesystem: 14 tools, of which the agent sees {', '.join(tool.name for tool in tools)}")
        await call(session, "read_text_file", path="plan.md")
        await call(session, "read_text_file", path=".env")
        await call(session, "write_file", path="notes/friday.md", content="Remind Ana.")
        await call(session, "write_file", path="plan.md", content="Ship today.")
        await call(session, "move_file", source="plan.md", destination="notes/plan.md")
    git = proxied("git", f"{TOOLS}/py/bin/mcp-server-git", "--repository", PROJECT)
    async with stdio_client(git, errlog=quiet) as pipes, ClientSession(*pipes) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        print(f"git: 12 tools, of which the agent sees {', '.join(tool.name for tool in tools)}")
        await call(session, "git_log", repo_path=PROJECT)
        await call(session, "git_reset", repo_path=PROJECT)


asyncio.run(main())
