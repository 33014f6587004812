"""What would be allowed, as the real server finds it; and nothing where the search fails."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import grpc
import pytest
from asking_twice import Asker, asker
from google.protobuf.message import Message
from questions import SESSION, digest, look_around
from service import small_service
from wrong_server import WrongServer

from mandate_client import (
    Candidate,
    EntityRef,
    Options,
    Question,
    Search,
    SearchFailed,
    Sought,
    action,
    agent,
    delegation,
    tool,
    user,
)
from mandate_client.contract import search_pb2 as pb
from mandate_client.contract import types_pb2 as types

TOOLS = Search(
    sought=Sought.RESOURCES,
    question=Question(
        principal=user("ana"),
        action=action("call_tool"),
        resource=EntityRef("Mandate::Tool", ""),
        context={"session": SESSION},
    ),
    candidates=[
        Candidate("fetch/fetch", {"digest": digest("fetch", "fetch")}),
        Candidate("git/git_status", {"digest": digest("git", "git_status")}),
        Candidate("git/git_log", {"digest": "sha256:changed"}),
        Candidate("house/payroll_report", {"digest": digest("house", "payroll_report")}),
    ],
    unknown=["touches"],
)


def test_tools_are_found_as_far_as_some_arguments_may_be_allowed(client: Asker) -> None:
    found = client.search(TOOLS)
    payroll = tool("house", "payroll_report")
    assert [one.uid for one in found] == [tool("fetch", "fetch"), tool("git", "git_status"), payroll]
    assert found[0].action == EntityRef("Mandate::Action", "fetch/fetch")
    reaching_nothing = dataclasses.replace(TOOLS.question, context={"session": SESSION, "touches": []})
    found = client.search(dataclasses.replace(TOOLS, question=reaching_nothing, unknown=[]))
    assert [one.is_certain for one in found] == [False, True, True]


def test_actions_and_principals_are_found(client: Asker) -> None:
    github = EntityRef("Mandate::ToolServer", "github")
    whoever = Search(
        sought=Sought.PRINCIPALS,
        question=dataclasses.replace(look_around(), principal=EntityRef("Mandate::User", ""), resource=github),
    )
    assert {one.uid for one in client.search(whoever)} == {user("ana"), user("bea"), user("cem")}
    whatever = Search(sought=Sought.ACTIONS, question=dataclasses.replace(look_around(), action=action("")))
    assert EntityRef("Mandate::Action", "list_tools") in {one.action for one in client.search(whatever)}


def test_it_says_through_whom(client: Asker) -> None:
    question = dataclasses.replace(TOOLS.question, principal=agent("worker"))
    candidates = [Candidate("github/list_issues", {"digest": digest("github", "list_issues")})]
    found = client.search(dataclasses.replace(TOOLS, question=question, candidates=candidates, any_delegation=True))
    assert delegation("planner-worker") in {way.delegation for way in found[0].through}
    assert [member.id for member in found[0].through[0].chain] == ["ana", "planner", "worker"]


def test_a_search_that_is_wrong_fails(client: Asker) -> None:
    for wrong in (
        dataclasses.replace(TOOLS, unknown=["session"]),
        dataclasses.replace(TOOLS, candidates=[Candidate("x", {"digest": 2**60})]),
        dataclasses.replace(TOOLS, question=dataclasses.replace(TOOLS.question, context={"nonsense": 1})),
    ):
        with pytest.raises(SearchFailed):
            client.search(wrong)


def test_a_server_that_is_gone_finds_nothing(kind: str) -> None:
    served = small_service()
    client = asker(kind, served.url, Options(deadline=1))
    served.kill()
    with pytest.raises(SearchFailed, match=r"unavailable|deadline_exceeded"):
        client.search(TOOLS)
    client.close()


def page(request: pb.SearchRequest, *names: str, token: str = "", **changed: object) -> pb.SearchResponse:
    answer = pb.SearchResponse(request_id=request.question.request_id, decision_id="d", next_page_token=token)
    for name in names:
        answer.found.add(uid=types.EntityRef(type="Mandate::Tool", id=name), certainty=pb.CERTAINTY_POSSIBLE)
    for field, value in changed.items():
        setattr(answer, field, value)
    return answer


def answered(kind: str, answer: Callable[[pb.SearchRequest], Message]) -> list[str]:
    server = WrongServer(search=lambda request, _: answer(request))
    client = asker(kind, server.url, Options(deadline=30))
    try:
        return [one.uid.id for one in client.search(TOOLS)]
    finally:
        client.close()
        server.stop()


def test_pages_are_turned_to_the_end(kind: str) -> None:
    pages = {"": (["a"], "2"), "2": ([], "3"), "3": (["b"], "")}

    def answer(request: pb.SearchRequest) -> Message:
        names, token = pages[request.page_token]
        return page(request, *names, token=token)

    assert answered(kind, answer) == ["a", "b"]


def test_what_is_neither_certain_nor_possible_is_not_found(kind: str) -> None:
    def answer(request: pb.SearchRequest) -> Message:
        made = page(request, "a", "b", "c")
        made.found[0].certainty = pb.CERTAINTY_UNSPECIFIED
        made.found[1].certainty = 99  # type: ignore[assignment]
        return made

    assert answered(kind, answer) == ["c"]


def test_an_answer_to_another_search_or_without_end_fails(kind: str) -> None:
    for answer in (
        lambda request: page(request, "a", request_id="another"),
        lambda request: page(request, "a", decision_id=""),
        lambda _: pb.SearchResponse(),
        lambda request: page(request, "a", token="again"),
    ):
        with pytest.raises(SearchFailed):
            answered(kind, answer)


def test_a_search_is_over_at_the_deadline(kind: str) -> None:
    def slow(request: pb.SearchRequest, context: grpc.ServicerContext) -> Message:
        del context
        time.sleep(0.02)
        return page(request, token="again")

    server = WrongServer(search=slow)
    client = asker(kind, server.url, Options(deadline=0.5))
    with pytest.raises(SearchFailed, match=r"deadline_exceeded|not_asked"):
        client.search(TOOLS)
    client.close()
    server.stop()
