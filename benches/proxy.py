"""What `mandate proxy` adds to a call: the same calls straight to a server, and through the proxy.

Usage: proxy.py MANDATE [CALLS]. The server echoes (tests/mcp/rogue.py), the proxy decides itself from the shipped schema and a
policy; calls follow one another. Prints microseconds.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MANDATE = os.path.abspath(sys.argv[1])
CALLS = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
TOOLS = [{"name": "echo", "description": "A tool.", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]
WARM = 200


def world(folder):
    for kind in ("policies", "schemas", "entities"):
        os.mkdir(f"{folder}/{kind}")
    write(f"{folder}/tools.json", json.dumps(TOOLS))
    for path in ("schemas/mandate.cedarschema", "policies/supply-chain.cedar", "policies/standing.cedar", "entities/toolsets.json"):
        with open(f"{ROOT}/{path}", encoding="utf-8") as shipped:
            write(f"{folder}/{path}", shipped.read())
    write(f"{folder}/policies/bench.cedar", '@id("open") permit (principal, action, resource);')
    ana = {"type": "Mandate::User", "id": "ana"}
    owned = {"business": ana, "technical": ana, "reviewed": "2026-09-01"}
    agent = {"owned": owned, "status": {"type": "Mandate::Status", "id": "active"}, "env": {"type": "Mandate::Env", "id": "dev"}, "clearance": 1, "expires": "2100-01-01", "autonomous": True}
    who = [
        {"uid": ana, "attrs": {"active": True, "clearance": 3}, "parents": []},
        {"uid": {"type": "Mandate::Agent", "id": "bot"}, "attrs": agent, "parents": []},
    ]
    write(f"{folder}/entities/who.json", json.dumps(who))
    imported = [MANDATE, "import-mcp", f"{folder}/tools.json", "--server", "echo", "--out", folder, "--owner", "ana", "--trusted"]
    subprocess.run(imported, check=True, stdout=subprocess.DEVNULL)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def measure(command):
    """Microseconds of each call."""
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(number, method, params):
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        line = json.dumps(message).encode() + b"\n"
        begun = time.perf_counter_ns()
        server.stdin.write(line)
        server.stdin.flush()
        answer = server.stdout.readline()
        took = time.perf_counter_ns() - begun
        result = json.loads(answer)["result"]
        assert not result.get("isError"), result
        return took / 1000

    ask(0, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}})
    server.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    ask(1, "tools/list", {})
    call = {"name": "echo", "arguments": {"path": "notes/friday.md", "lines": 20}}
    taken = [ask(number + 2, "tools/call", call) for number in range(WARM + CALLS)][WARM:]
    server.stdin.close()
    server.wait()
    return sorted(taken)


def main():
    with tempfile.TemporaryDirectory() as folder:
        world(folder)
        server = [sys.executable, f"{ROOT}/tests/mcp/rogue.py", f"{folder}/tools.json", f"{folder}/reached.jsonl"]
        folders = [f"--{kind}={folder}/{kind}" for kind in ("policies", "schemas", "entities")]
        proxy = [MANDATE, "proxy", "--name=echo", "--agent=bot", *folders, f"--data-dir={folder}/data", "--", *server]
        rows = [("straight", measure(server)), ("through the proxy", measure(proxy))]
    at = {name: [taken[int(len(taken) * part)] for part in (0.5, 0.9, 0.99)] for name, taken in rows}
    at["added"] = [through - straight for straight, through in zip(*at.values())]
    print(f"{CALLS} calls, one after the other; microseconds\n{'':18}  p50     p90     p99")
    for name, (p50, p90, p99) in at.items():
        print(f"{name:18} {p50:7.0f} {p90:7.0f} {p99:7.0f}")


main()
