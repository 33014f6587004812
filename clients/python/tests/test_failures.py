"""Nothing that goes wrong is an Allow: a server that is late, gone, wrong or somebody else."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from asking_twice import Asker, asker
from google.protobuf import timestamp_pb2
from google.protobuf.message import Message
from questions import fetch, look_around
from service import small_service
from wrong_server import WrongServer, allow

from mandate_client import Client, Decision, NotReported, Options, Outcome, Report
from mandate_client.contract import authorization_pb2 as pb
from mandate_client.contract import types_pb2 as types

Change = Callable[[pb.AuthorizeResponse], None]


def reason(decision: Decision) -> str:
    assert decision.reason is not None
    assert decision.reason.message
    return decision.reason.code


def changed(change: Change) -> Callable[[pb.AuthorizeRequest, grpc.ServicerContext], Message]:
    """An Allow without fault, but for one thing."""

    def answer(request: pb.AuthorizeRequest, _: grpc.ServicerContext) -> Message:
        made = allow(request)
        change(made)
        return made

    return answer


def _set(**fields: object) -> Change:
    def change(answer: pb.AuthorizeResponse) -> None:
        for name, value in fields.items():
            setattr(answer, name, value)

    return change


WRONG: dict[str, Change] = {
    "unspecified": _set(decision=pb.DECISION_UNSPECIFIED),
    "a value of later": _set(decision=99),
    "empty": lambda answer: answer.Clear(),
    "nothing but the word": lambda answer: answer.CopyFrom(pb.AuthorizeResponse(decision=pb.DECISION_ALLOW)),
    "no id": _set(decision_id=""),
    "no generation": _set(generation=""),
    "no revision": _set(revision=""),
    "another request": _set(request_id="another"),
    "a reason to deny": lambda answer: answer.reason.CopyFrom(pb.Reason(code="forbidden", message="no")),
    "denied by": lambda answer: answer.denied_by.CopyFrom(pb.DeniedBy(rule="policy")),
    "a denied hop": lambda answer: answer.chain.append(pb.Hop(decision=pb.DECISION_DENY)),
    "a hop of neither": lambda answer: answer.chain.append(pb.Hop()),
    "another principal": lambda answer: answer.principal.CopyFrom(types.EntityRef(type="Mandate::User", id="bea")),
    "an obligation": lambda answer: answer.obligations.append(pb.Obligation(id="o", type="redact")),
    "an obligation without type": lambda answer: answer.obligations.append(pb.Obligation(id="o")),
    "an instant that is none": lambda answer: answer.valid_until.MergeFrom(timestamp_pb2.Timestamp(seconds=2**60)),
    "properties that are none": lambda answer: answer.advice.add(type="t").properties.update({"n": math.nan}),
}


@pytest.mark.parametrize("fault", WRONG.values(), ids=WRONG)
def test_an_answer_that_is_not_an_allow_in_full_is_none(fault: Change, kind: str) -> None:
    def batch(request: pb.AuthorizeBatchRequest, context: grpc.ServicerContext) -> Message:
        one = changed(fault)(request.requests[0], context)
        assert isinstance(one, pb.AuthorizeResponse)
        return pb.AuthorizeBatchResponse(results=[pb.AuthorizeResult(response=one)])

    server = WrongServer(changed(fault), batch)
    client = asker(kind, server.url, Options(deadline=30))
    alone, together = client.authorize(look_around()), client.authorize_batch([look_around()])
    client.close()
    server.stop()
    for decision in (alone, *together):
        assert not decision
        assert reason(decision) in ("invalid_answer", "obligation_not_fulfilled"), decision


def test_the_answer_that_those_are_made_of_is_an_allow(kind: str) -> None:
    server = WrongServer(changed(lambda _: None))
    client = asker(kind, server.url, Options(deadline=30))
    decision = client.authorize(look_around())
    client.close()
    server.stop()
    assert decision, decision.reason


def test_bytes_that_are_no_answer_are_no_allow(kind: str) -> None:
    server = WrongServer(lambda *_: b"\xff\xff\xff")
    client = asker(kind, server.url, Options(deadline=30))
    decision = client.authorize(look_around())
    client.close()
    server.stop()
    assert not decision
    assert not decision.answered


BATCHES: dict[str, Callable[[list[pb.AuthorizeResult]], list[pb.AuthorizeResult]]] = {
    "none": lambda _: [],
    "one too few": lambda results: results[:1],
    "one too many": lambda results: [*results, results[0]],
    "in another order": lambda results: results[::-1],
    "an empty one": lambda _: [pb.AuthorizeResult(), pb.AuthorizeResult()],
}


@pytest.mark.parametrize("fault", BATCHES.values(), ids=BATCHES)
def test_a_batch_that_is_not_answered_one_by_one_allows_nothing(
    fault: Callable[[list[pb.AuthorizeResult]], list[pb.AuthorizeResult]], kind: str
) -> None:
    def batch(request: pb.AuthorizeBatchRequest, _: grpc.ServicerContext) -> Message:
        results = [pb.AuthorizeResult(response=allow(one)) for one in request.requests]
        return pb.AuthorizeBatchResponse(results=fault(results))

    server = WrongServer(batch=batch)
    client = asker(kind, server.url, Options(deadline=30))
    answers = client.authorize_batch([look_around(), look_around("bea")])
    client.close()
    server.stop()
    assert [reason(answer) for answer in answers] == ["invalid_answer"] * 2


@pytest.fixture
def late() -> Iterator[WrongServer]:
    """A server that answers when it is too late."""
    over = threading.Event()

    def wait(request: pb.AuthorizeRequest, _: grpc.ServicerContext) -> Message:
        over.wait(60)
        return allow(request)

    server = WrongServer(wait)
    yield server
    over.set()
    server.stop()


def test_a_late_answer_is_a_deny_at_the_deadline(late: WrongServer, kind: str) -> None:
    for options, deadline in ((Options(deadline=0.2), None), (None, 0.2)):
        client = asker(kind, late.url, options)
        began = time.monotonic()
        decision = client.authorize(look_around(), deadline=deadline)
        client.close()
        assert reason(decision) == "deadline_exceeded"
        assert 0.2 <= time.monotonic() - began < 20


def test_there_is_no_call_without_a_deadline(late: WrongServer, kind: str) -> None:
    client = asker(kind, late.url)
    assert reason(client.authorize(look_around())) == "deadline_exceeded"
    for none in (0, -1, float("inf"), float("nan"), 61):
        assert reason(client.authorize(look_around(), deadline=none)) == "not_asked"
        with pytest.raises(ValueError, match="deadline"):
            Options(deadline=none)
    client.close()


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=str)
def test_every_status_is_a_deny_and_only_unavailable_is_asked_again(code: grpc.StatusCode, kind: str) -> None:
    asked = []

    def fail(request: pb.AuthorizeRequest, context: grpc.ServicerContext) -> Message:
        asked.append(request.request_id)
        context.abort(code, "as told")
        raise AssertionError

    server = WrongServer(fail)
    client = asker(kind, server.url, Options(deadline=30))
    decision = client.authorize(look_around())
    client.close()
    server.stop()
    assert reason(decision) == code.value[1].replace(" ", "_")
    assert not decision.answered
    assert len(asked) == (5 if code is grpc.StatusCode.UNAVAILABLE else 1)


def test_a_server_that_recovers_within_the_deadline_is_asked_again(kind: str) -> None:
    asked = []

    def recover(request: pb.AuthorizeRequest, context: grpc.ServicerContext) -> Message:
        asked.append(request.request_id)
        if len(asked) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return allow(request)

    server = WrongServer(recover)
    client = asker(kind, server.url, Options(deadline=30))
    assert client.authorize(look_around())
    assert len(asked) == 3
    client.close()
    server.stop()


def test_a_server_that_is_killed_denies_and_one_that_is_back_decides(kind: str) -> None:
    served = small_service()
    client: Asker = asker(kind, served.url, Options(deadline=10))
    allowed = client.authorize(look_around())
    assert allowed
    port = served.port
    served.kill()
    assert reason(client.authorize(look_around(), deadline=1)) in ("unavailable", "deadline_exceeded")
    assert not any(client.authorize_batch([look_around(), fetch("https://docs.rs/")], deadline=1))
    with pytest.raises(NotReported):
        client.report_outcome(Report(decision=allowed, outcome=Outcome.EXECUTED), deadline=1)
    again = small_service(port=port)
    limit = time.monotonic() + 60
    while not client.authorize(look_around()) and time.monotonic() < limit:
        time.sleep(0.1)
    assert client.authorize(look_around())
    client.close()
    again.stop()


def test_a_closed_client_denies(kind: str, late: WrongServer) -> None:
    if kind == "sync":
        client = Client(late.url)
        client.close()
        assert reason(client.authorize(look_around())) == "not_asked"


def test_another_service_on_the_port_denies(kind: str) -> None:
    server = WrongServer()
    client = asker(kind, server.url, Options(deadline=30))
    assert reason(client.authorize(look_around())) == "unimplemented"
    client.close()
    server.stop()
