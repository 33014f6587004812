"""What a decision adds to a tool call through FastMCP: a server with and without the middleware, call by call in turn.

With a release build: MANDATE_BIN=target/release/mandate python clients/python/bench/fastmcp_calls.py [ROUNDS CALLS]
"""

from __future__ import annotations

import asyncio
import statistics
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


PARTS = (0.5, 0.9, 0.99)


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


async def one_round(without: Client[Any], guarded: Client[Any], calls: int) -> list[list[float]]:
    """Percentiles without, with, and what is added: one server's call, then the other's, again and again."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(calls):
        times[0].append(await timed(without, number))
        times[1].append(await timed(guarded, number))
    plain, decided = ([percentile(some, part) for part in PARTS] for some in times)
    return [plain, decided, [more - less for less, more in zip(plain, decided, strict=True)]]


def told(rounds: list[list[list[float]]]) -> None:
    """Print each figure's median round, and the least and greatest."""
    print(f"{'':8}" + "".join(f"{f'p{round(part * 100)}':>20}" for part in PARTS))
    for place, name in enumerate(("without", "with", "added")):
        figures = [[one[place][part] for one in rounds] for part in range(len(PARTS))]
        shown = (f"{statistics.median(some):.2f} ({min(some):.2f}–{max(some):.2f})" for some in figures)
        print(f"{name:8}" + "".join(f"{one:>20}" for one in shown))


async def measure(service: Service, rounds: int, calls: int) -> None:
    asker = AsyncClient(service.url)
    guard = MandateMiddleware(
        asker,
        server="filesystem",
        subject=Subject(principal=agent("code-bot"), delegations=[delegation("files")]),
        facts=Facts(session=SESSION, touches=[]),
    )
    async with Client(server(None)) as without, Client(server(guard)) as guarded:
        await one_round(without, guarded, 200)
        seen = [await one_round(without, guarded, calls) for _ in range(rounds)]
        await guard.flush()
    await asker.close()
    print(f"{rounds} rounds of {calls} calls to each server, in turn; milliseconds")
    told(seen)


def main() -> None:
    rounds, calls = (int(one) for one in sys.argv[1:3] or (5, 2000))
    rights = grant("files", to="code-bot", actions=["call_tool", "list_tools"], server="filesystem")
    service = small_service(policy=POLICY, grants=[rights])
    try:
        asyncio.run(measure(service, rounds, calls))
    finally:
        service.stop()


if __name__ == "__main__":
    main()
