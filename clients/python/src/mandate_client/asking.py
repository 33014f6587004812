"""From a `Question` to the contract's message.

Nothing is rounded, cut or guessed on the way: what the message cannot say exactly raises `ValueError`, and is then not
asked, so that nothing else is decided than what is meant.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from google.protobuf import struct_pb2, timestamp_pb2

from mandate_client import digest
from mandate_client.contract import authorization_pb2 as pb
from mandate_client.contract import types_pb2 as types
from mandate_client.entities import Entity, EntityRef, Json, Typed, Value
from mandate_client.question import Evidence, Question

EXACT = 2**53 - 1
"""The largest whole number that a JSON number says exactly."""

ADDRESSES = (ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv6Address, ipaddress.IPv6Network)


def request(question: Question, request_id: str) -> pb.AuthorizeRequest:
    """Turn a question into the message of a call of its own."""
    message = item(question, request_id)
    message.credentials = question.credentials
    if question.minimum_revision or question.bypass_cache:
        message.consistency.CopyFrom(_consistency(question))
    return message


def batch(questions: Sequence[Question], request_ids: Sequence[str]) -> pb.AuthorizeBatchRequest:
    """Turn questions into one message. Credentials and consistency are the batch's: they must be the same for all."""
    message = pb.AuthorizeBatchRequest()
    terms = {(one.credentials, one.minimum_revision, one.bypass_cache) for one in questions}
    if len(terms) > 1:
        raise ValueError("credentials, minimum_revision and bypass_cache must be the same for all of a batch")
    for one, request_id in zip(questions, request_ids, strict=True):
        message.requests.append(item(one, request_id))
    if questions:
        message.defaults.credentials = questions[0].credentials
        message.defaults.consistency.CopyFrom(_consistency(questions[0]))
    return message


def item(question: Question, request_id: str) -> pb.AuthorizeRequest:
    """Turn a question into an item of a batch, which is all but its credentials and consistency."""
    message = pb.AuthorizeRequest(
        request_id=request_id,
        action=ref(question.action),
        resource=ref(question.resource),
        delegations=[ref(grant) for grant in question.delegations],
        entities=[_entity(entity) for entity in question.entities],
        explain=question.explain,
        mode=pb.MODE_OBSERVE if question.observe else pb.MODE_ENFORCE,
    )
    if question.principal is not None:
        message.principal.CopyFrom(ref(question.principal))
    if isinstance(question.context, Typed):
        message.typed_context.CopyFrom(_record(question.context.record))
    else:
        message.context.CopyFrom(struct(question.context))
    if question.arguments is not None:
        # As text: a Struct would round whole numbers, and the arguments that run would not be those decided on.
        message.arguments_json = digest.canonical(question.arguments).decode()
    if question.evidence is not None:
        message.evidence.CopyFrom(_evidence(question.evidence))
    return message


def ref(name: EntityRef) -> types.EntityRef:
    """Turn a name into the contract's."""
    return types.EntityRef(type=name.type, id=name.id)


def struct(members: Mapping[str, Json]) -> struct_pb2.Struct:
    """Turn a JSON object into a Struct."""
    return struct_pb2.Struct(fields={_text(name): _json(value) for name, value in members.items()})


def _json(value: Json) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=_number(value))
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, EntityRef):
        return struct_pb2.Value(struct_value=struct({"type": value.type, "id": value.id}))
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=struct(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_json(one) for one in value]))
    raise ValueError(f"not a JSON value: {type(value).__name__}")


def _number(value: float) -> float:
    if isinstance(value, int) and abs(value) > EXACT:
        raise ValueError("a whole number beyond ±(2^53−1) is not exact in JSON: say it in a Typed context")
    if not math.isfinite(value):
        raise ValueError("a number of JSON is finite")
    return float(value)


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"names of members are text, not {type(name).__name__}")  # noqa: TRY004 - one kind of error
    return name


def _record(members: Mapping[str, Value]) -> types.Record:
    return types.Record(attributes={_text(name): value(one) for name, one in members.items()})


def value(one: Value) -> types.Value:
    """Turn a Cedar value into the contract's, which names its type."""
    scalar = _scalar(one)
    if scalar is not None:
        return scalar
    if isinstance(one, EntityRef):
        return types.Value(entity=ref(one))
    if isinstance(one, Mapping):
        return types.Value(record=_record(one))
    if isinstance(one, Sequence | Set) and not isinstance(one, bytes | bytearray):
        return types.Value(set=types.Set(elements=[value(element) for element in one]))
    raise ValueError(f"not a Cedar value: {type(one).__name__}")


def _scalar(one: Value) -> types.Value | None:
    if isinstance(one, bool):
        return types.Value(boolean=one)
    if isinstance(one, int):
        return types.Value(long=one)
    if isinstance(one, str):
        return types.Value(string=one)
    if isinstance(one, Decimal):
        return types.Value(decimal=format(one, "f"))
    if isinstance(one, ADDRESSES):
        return types.Value(ipaddr=str(one))
    return _time(one)


def _time(one: Value) -> types.Value | None:
    if isinstance(one, datetime):
        if one.tzinfo is None:
            raise ValueError("a datetime without a time zone says no instant")
        instant = timestamp_pb2.Timestamp()
        instant.FromDatetime(one)
        return types.Value(datetime=instant)
    if isinstance(one, timedelta):
        return types.Value(duration=f"{one // timedelta(milliseconds=1)}ms")
    return None


def _entity(entity: Entity) -> types.Entity:
    return types.Entity(
        uid=ref(entity.uid),
        attributes=_record(entity.attributes),
        parents=[ref(parent) for parent in entity.parents],
        tags=_record(entity.tags),
    )


def _consistency(question: Question) -> types.Consistency:
    return types.Consistency(minimum_revision=question.minimum_revision, bypass_cache=question.bypass_cache)


def _evidence(evidence: Evidence) -> pb.Evidence:
    texts: dict[str, Any] = {name: getattr(evidence, name) for name in Evidence.__dataclass_fields__ if name != "refs"}
    refs = [
        pb.EvidenceRef(kind=one.kind, uri=one.uri, digest=one.digest, source=one.source, trust=one.trust)
        for one in evidence.refs
    ]
    return pb.Evidence(refs=refs, **texts)
