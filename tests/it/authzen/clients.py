"""Asks a decision point as its public clients do, and prints what each of them made of the answers, as JSON.

The first argument names the client, the second is the decision point's URL.
"""

import asyncio
import json
import sys


def decern(url):
    from decern.client import Client, DecernError

    client = Client(url)
    record = {"type": "record", "id": "record-1"}

    def ask(user, action, **context):
        decided = client.evaluate({"type": "user", "id": user}, action, record, context or None)
        return [decided.allowed, decided.reasons, decided.errors]

    told = {
        "healthy": client.healthy(),
        "read": ask("alice", "read"),
        "read_with_context": ask("alice", "read", ip="192.0.2.1"),
        "write": ask("bob", "write"),
        "nobody": ask("nobody", "read"),
        "soft": ask("alice", {"name": "delete", "properties": {"soft": True}}),
        "hard": ask("alice", {"name": "delete", "properties": {"soft": False}}),
    }
    try:
        client.evaluate({"type": "user"}, "read", record)
    except DecernError as error:
        told["mistake"] = [error.status_code, error.body]
    return told


def backend(url):
    from authzen_backend import AuthZENBackend

    told = {}
    with AuthZENBackend(f"{url}/access/v1/evaluation", "shop", token="none", default_subject_type="ai_agent") as backend:
        for agent, tool in [("bot", "search"), ("bot", "delete"), ("ghost", "search")]:
            asked = {"agent_id": agent, "user_id": "ana", "tool_name": tool, "session": "s-1"}
            decided = backend.evaluate(asked)
            told[f"{agent} {tool}"] = [decided.allowed, decided.reason, decided.error]
    return told


def apparitor(url):
    from apparitor.client import AuthZENClient
    from apparitor.config import ScannerConfig
    from apparitor.errors import AuthZENClientError
    from apparitor.models import Action, BatchEvaluationRequest, EvaluationItem, EvaluationRequest
    from apparitor.models import EvaluationSemantic, EvaluationsOptions, Resource, Subject

    bot = Subject(type="agent", id="bot")
    call = Action(name="tool_call.execute")

    def tool(name, **arguments):
        return Resource(type="tool", id=name, properties=arguments)

    async def ask():
        config = ScannerConfig(pdp_url=url, allow_insecure_pdp=True)
        async with AuthZENClient(config) as client:
            single = [
                (await client.evaluate(EvaluationRequest(subject=bot, action=call, resource=resource))).decision
                for resource in (tool("search"), tool("delete"), tool("delete", path="/tmp/x"), tool("unheard"))
            ]
            items = [EvaluationItem(resource=tool(name)) for name in ("search", "delete", "search")]
            batches = []
            for semantic in EvaluationSemantic:
                options = EvaluationsOptions(evaluations_semantic=semantic)
                batch = BatchEvaluationRequest(subject=bot, action=call, evaluations=items, options=options)
                decided = await client.evaluate_batch(batch)
                batches.append([item.decision for item in decided.evaluations])
            try:
                await client.evaluate(EvaluationRequest(subject=bot, action=Action(name="fly"), resource=tool("search")))
                mistake = None
            except AuthZENClientError as error:
                mistake = error.status_code
        return {"single": single, "batches": batches, "mistake": mistake}

    return asyncio.run(ask())


if __name__ == "__main__":
    client, url = sys.argv[1:]
    told = {"decern": decern, "backend": backend, "apparitor": apparitor}[client](url)
    print(json.dumps(told))
