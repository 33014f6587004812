"""The MCP SDK's own client: connects to a server over stdio, does what it is told, and prints what came of it.

Usage: client.py STEPS COMMAND... STEPS is a JSON list of [method of the session, arguments]; a line of JSON is printed for
each, and first one of what the server said of itself.
"""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters, stdio_client


async def main():
    steps, command = json.loads(sys.argv[1]), sys.argv[2:]
    server = StdioServerParameters(command=command[0], args=command[1:])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        show(await session.initialize())
        for method, arguments in steps:
            try:
                show(await getattr(session, method)(**arguments))
            except Exception as error:  # noqa: BLE001: whatever it is, the test sees it
                print(json.dumps({"raised": type(error).__name__, "said": str(error)}), flush=True)


def show(result):
    print(result.model_dump_json(by_alias=True), flush=True)


asyncio.run(main())
