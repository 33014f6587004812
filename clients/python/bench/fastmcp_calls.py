"""What a decision adds to a tool call through FastMCP: a server with and without the middleware, call by call in turn.

Start it with a release build: MANDATE_BIN=target/release/mandate python clients/python/bench/fastmcp_calls.py [CALLS]
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from fastmcp import Client, FastMCP

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from questions import SESSION, grant
from service import Service, small_service

from mandate_client import AsyncClient, agent, delegation
from mandate_client.fastmcp import MandateMiddleware
from mandate_client.tool_calls import Facts, Subject

POLICY = """
@id("write") permit (principal, action == Mandate::Action::"filesystem/write_file", resource)
when { principal is Mandate::User || context.input.path like "/workspace/*" };
@id("list") permit (principal, action == Mandate::Action::"list_tools", resource);
"""


def write_file(path: str, content: str) -> str:
    """Write a file."""
    return f"{path} {len(content)}"


def server(guard: MandateMiddleware | None) -> FastMCP[Any]:
    made: FastMCP[Any] = FastMCP("files", middleware=[guard] if guard else [])
    made.tool(write_file)
    return made


async def timed(client: Client[Any], number: int) -> float:
    began = time.perf_counter()
    answer = await client.call_tool("write_file", {"path": f"/workspace/{number}", "content": "x" * 200})
    took = time.perf_counter() - began
    assert answer.data == f"/workspace/{number} 200"
    return took * 1000


def percentile(times: list[float], part: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


async def measure(service: Service, calls: int) -> None:
    asker = AsyncClient(service.url)
    guard = MandateMiddleware(
        asker,
        server="filesystem",
        subject=Subject(principal=agent("code-bot"), delegations=[delegation("files")]),
        facts=Facts(session=SESSION, touches=[]),
    )
    plain: list[float] = []
    guarded: list[float] = []
    async with Client(server(None)) as without, Client(server(guard)) as with_guard:
        for number in range(200):
            await timed(without, number)
            await timed(with_guard, number)
        for number in range(calls):
            plain.append(await timed(without, number))
            guarded.append(await timed(with_guard, number))
        await guard.flush()
    await asker.close()
    print(f"{calls} calls each, in turn; milliseconds")
    print(f"{'':12}{'p50':>8}{'p90':>8}{'p99':>8}")
    for name, times in (("without", plain), ("with", guarded)):
        print(f"{name:12}" + "".join(f"{percentile(times, part):8.2f}" for part in (0.5, 0.9, 0.99)))
    added = (percentile(guarded, part) - percentile(plain, part) for part in (0.5, 0.9, 0.99))
    print(f"{'added':12}" + "".join(f"{one:8.2f}" for one in added))


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    rights = grant("files", to="code-bot", actions=["call_tool", "list_tools"], server="filesystem")
    service = small_service(policy=POLICY, grants=rights)
    try:
        asyncio.run(measure(service, calls))
    finally:
        service.stop()


if __name__ == "__main__":
    main()
