"""What the real server answers, through both clients."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_network

import pytest
from asking_twice import Asker, asker
from questions import SESSION, call, fetch, look_around, write
from service import Service, small_service

from mandate_client import (
    Denied,
    Entity,
    EntityRef,
    Evidence,
    NotReported,
    Options,
    Outcome,
    Question,
    Report,
    Typed,
    data,
    delegation,
    user,
)


def test_an_allow_says_which_decision_it_is(client: Asker) -> None:
    decision = client.authorize(look_around())
    assert decision.allowed
    assert decision
    assert decision.answered
    assert decision.reason is None
    assert decision.decision_id
    assert decision.generation.startswith("sha256:")
    assert [policy.policy_id for policy in decision.determining_policies] == ["list-known-servers"]
    assert decision.determining_policies[0].effect == "permit"
    assert decision.principal == user("ana")
    assert client.require(look_around()).allowed


def test_a_deny_has_the_policies_reason_and_is_false(client: Asker) -> None:
    decision = client.authorize(fetch("http://169.254.169.254/latest/meta-data/"))
    assert not decision.allowed
    assert not decision
    assert decision.answered
    assert decision.reason is not None
    assert decision.reason.code == "forbidden"
    assert "listed sites only" in decision.reason.message
    assert [policy.policy_id for policy in decision.determining_policies] == ["known-sites"]
    with pytest.raises(Denied, match="listed sites only") as denied:
        client.require(fetch("http://169.254.169.254/latest/meta-data/"))
    assert denied.value.decision.reason == decision.reason


def test_arguments_decide_as_they_are_typed(client: Asker) -> None:
    assert client.authorize(fetch("https://docs.rs/serde"))
    assert client.authorize(call("fetch", "fetch", {"url": "https://docs.rs/serde", "max_length": 5000}))
    for wrong in ({"url": 5}, {"url": "https://docs.rs/serde", "max_length": "many"}, {}, None):
        decision = client.authorize(call("fetch", "fetch", wrong))
        assert not decision
        assert not decision.answered
        assert decision.reason is not None
        assert decision.reason.code == "invalid_request"


def test_a_chain_is_told_hop_by_hop(client: Asker) -> None:
    allowed = client.authorize(write("/workspace/a.txt"))
    assert allowed, allowed.reason
    assert [(hop.principal.id, hop.role, hop.allowed) for hop in allowed.chain] == [
        ("ana", "delegator", True),
        ("code-bot", "actor", True),
    ]
    assert allowed.chain[1].grant == delegation("ana-code-bot")
    denied = client.authorize(write("/workspace/a.txt", delegations=[delegation("ana-planner")]))
    assert not denied
    assert denied.denied_by is not None
    assert denied.denied_by.rule == "grant_delegate"
    alone = client.authorize(write("/workspace/a.txt", delegations=[]))
    assert alone.reason is not None
    assert alone.reason.code == "chain_required"


def test_a_batch_keeps_the_order_and_one_bad_question_is_its_own(client: Asker) -> None:
    bad = Question(principal=user("ana"), action=look_around().action, resource=EntityRef("Mandate::ToolServer", ""))
    answers = client.authorize_batch(
        [look_around(), bad, fetch("http://10.0.0.1/"), call("fetch", "fetch", None), look_around("bea")]
    )
    assert [bool(answer) for answer in answers] == [True, False, False, False, True]
    assert [answer.answered for answer in answers] == [True, False, True, False, True]
    assert len({answer.revision for answer in answers if answer.answered}) == 1
    assert client.authorize_batch([]) == []


def test_a_batch_that_is_too_long_or_mixes_tokens_allows_nothing(client: Asker) -> None:
    assert not any(client.authorize_batch([look_around()] * 101))
    mixed = client.authorize_batch([look_around(), dataclasses.replace(look_around(), credentials="t")])
    assert [answer.reason.code for answer in mixed if answer.reason] == ["not_asked", "not_asked"]


def test_a_subjects_token_that_is_not_believed_denies(client: Asker) -> None:
    decision = client.authorize(dataclasses.replace(look_around(), principal=None, credentials="not.a.token"))
    assert not decision
    assert decision.reason is not None
    assert decision.reason.code == "subject_token_invalid"
    assert "not.a.token" not in repr(decision)


def test_an_explanation_is_the_servers(client: Asker) -> None:
    decision = client.authorize(dataclasses.replace(fetch("http://10.0.0.1/"), explain=True))
    policies = decision.explanation["hops"][0]["policies"]
    assert {"known-sites"} <= {policy["policyId"] for policy in policies}


def test_freshness_is_asked_for_and_held_to(client: Asker) -> None:
    revision = client.authorize(look_around()).revision
    assert client.authorize(dataclasses.replace(look_around(), minimum_revision=revision))
    assert not client.authorize(dataclasses.replace(look_around(), minimum_revision="AT0"))
    assert client.authorize(dataclasses.replace(look_around(), bypass_cache=True)).cache == "bypass"
    assert all(client.authorize_batch([dataclasses.replace(look_around(), minimum_revision=revision)] * 2))


SCHEMA = """
namespace Mandate {
  @request_scoped
  entity Doc = { owner: User, price: decimal, seen: datetime, from: ipaddr, pause: duration, words: Set<String> };
  action view appliesTo { principal: [User], resource: [Doc], context: { limit: Long, near: Set<Data> } };
}
"""
TYPED = """
@id("typed")
permit (principal, action == Mandate::Action::"view", resource) when {
  principal == resource.owner && resource.price.lessThan(decimal("2.5")) &&
  resource.seen < datetime("2026-01-02") && resource.from.isInRange(ip("10.0.0.0/8")) &&
  resource.pause < duration("2m") && resource.words == ["a", "b"] &&
  context.limit == 9223372036854775807 && context.near == [Mandate::Data::"docs"]
};
"""


def test_every_type_of_cedar_can_be_said(kind: str) -> None:
    served = small_service(policy=TYPED, schema=SCHEMA)
    client = asker(kind, served.url)
    doc = Entity(
        EntityRef("Mandate::Doc", "d"),
        {
            "owner": user("ana"),
            "price": Decimal("2.25"),
            "seen": datetime(2026, 1, 1, 23, tzinfo=timezone.utc),
            "from": ip_network("10.1.0.0/16"),
            "pause": timedelta(seconds=90),
            "words": {"a", "b"},
        },
    )
    question = Question(
        principal=user("ana"),
        action=EntityRef("Mandate::Action", "view"),
        resource=doc.uid,
        context=Typed({"limit": 2**63 - 1, "near": [data("docs")]}),
        entities=[doc],
    )
    decision = client.authorize(question)
    assert decision, decision.reason
    assert not client.authorize(dataclasses.replace(question, context=Typed({"limit": 1, "near": [data("docs")]})))
    client.close()
    served.stop()


def test_what_json_cannot_say_exactly_is_not_asked(client: Asker) -> None:
    for wrong in (2**53, float("nan"), float("inf"), b"bytes", object(), {1: "x"}, "\ud800"):
        asked = [
            Question(
                principal=user("ana"), action=look_around().action, resource=look_around().resource,
                context={"session": SESSION | {"calls": wrong}},
            ),
            call("fetch", "fetch", {"url": "https://docs.rs/", "max_length": wrong}),
        ]  # fmt: skip
        for question in asked:
            decision = client.authorize(question)
            assert not decision
            assert decision.reason is not None
            assert decision.reason.code == "not_asked", wrong


def test_outcomes_reach_the_log_with_the_evidence(kind: str) -> None:
    served = small_service()
    client = asker(kind, served.url)
    evidence = Evidence(session_id="s9", tool_call_id="call-7", model="scripted")
    allowed = client.authorize(dataclasses.replace(fetch("https://docs.rs/a"), evidence=evidence))
    denied = client.authorize(fetch("http://10.0.0.1/"))
    client.report_outcome(
        Report(decision=allowed, outcome=Outcome.EXECUTED, arguments={"url": "https://docs.rs/b"}, detail="d")
    )
    client.report_outcome(Report(decision=denied, outcome=Outcome.BLOCKED))
    with pytest.raises(NotReported):
        client.report_outcome(Report(decision=dataclasses.replace(denied, decision_id="x"), outcome=Outcome.BLOCKED))
    client.close()
    records = served.records()
    decisions = {record["decision_id"]: record for record in records if record["kind"] == "decision"}
    told = decisions[allowed.decision_id]["evidence"]
    assert (told["session_id"], told["tool_call_id"], told["model"]) == ("s9", "call-7", "scripted")
    outcomes = [record for record in records if record["kind"] == "outcome"]
    assert [(one["of"], one["outcome"]) for one in outcomes] == [
        (allowed.decision_id, "executed"),
        (denied.decision_id, "blocked"),
    ]
    assert outcomes[0]["findings"] == ["input_mismatch"]


def test_obligations_bind_whoever_has_not_said_to_fulfil_them(kind: str) -> None:
    served = small_service(
        policy="""
        @id("masked") @obligation("{\\"id\\": \\"m\\", \\"type\\": \\"redact\\", \\"properties\\": {\\"n\\": 2}}")
        permit (principal, action == Mandate::Action::"list_tools", resource);
        """
    )
    strict, able, other = (
        asker(kind, served.url, Options(fulfils=fulfils)) for fulfils in ([], ["redact"], ["notify"])
    )
    for unable in (strict, other):
        decision = unable.authorize(look_around())
        assert not decision
        assert decision.answered
        assert decision.reason is not None
        assert decision.reason.code == "obligation_not_fulfilled"
        assert "redact" in decision.reason.message
        assert not any(unable.authorize_batch([look_around()]))
    allowed = able.authorize(look_around())
    assert allowed
    assert [(one.id, one.type, one.properties) for one in allowed.obligations] == [("m", "redact", {"n": 2})]
    assert all(able.authorize_batch([look_around()]))
    for one in (strict, able, other):
        one.close()
    served.stop()


def test_the_record_says_that_it_is_not_enforced(service: Service, kind: str) -> None:
    client = asker(kind, service.url)
    assert client.authorize(dataclasses.replace(look_around(), observe=True))
    client.close()
