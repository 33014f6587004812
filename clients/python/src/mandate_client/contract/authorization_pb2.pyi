import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from mandate_client.contract import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_ENFORCE: _ClassVar[Mode]
    MODE_OBSERVE: _ClassVar[Mode]

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_ALLOW: _ClassVar[Decision]
    DECISION_DENY: _ClassVar[Decision]

class PolicyEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_EFFECT_UNSPECIFIED: _ClassVar[PolicyEffect]
    POLICY_EFFECT_PERMIT: _ClassVar[PolicyEffect]
    POLICY_EFFECT_FORBID: _ClassVar[PolicyEffect]

class CacheStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_STATUS_UNSPECIFIED: _ClassVar[CacheStatus]
    CACHE_STATUS_MISS: _ClassVar[CacheStatus]
    CACHE_STATUS_HIT: _ClassVar[CacheStatus]
    CACHE_STATUS_BYPASS: _ClassVar[CacheStatus]
MODE_UNSPECIFIED: Mode
MODE_ENFORCE: Mode
MODE_OBSERVE: Mode
DECISION_UNSPECIFIED: Decision
DECISION_ALLOW: Decision
DECISION_DENY: Decision
POLICY_EFFECT_UNSPECIFIED: PolicyEffect
POLICY_EFFECT_PERMIT: PolicyEffect
POLICY_EFFECT_FORBID: PolicyEffect
CACHE_STATUS_UNSPECIFIED: CacheStatus
CACHE_STATUS_MISS: CacheStatus
CACHE_STATUS_HIT: CacheStatus
CACHE_STATUS_BYPASS: CacheStatus

class AuthorizeRequest(_message.Message):
    __slots__ = ("request_id", "principal", "action", "resource", "context", "typed_context", "context_json", "arguments", "arguments_json", "entities", "delegations", "credentials", "consistency", "evidence", "explain", "mode")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TYPED_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_JSON_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    DELEGATIONS_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    principal: _types_pb2.EntityRef
    action: _types_pb2.EntityRef
    resource: _types_pb2.EntityRef
    context: _struct_pb2.Struct
    typed_context: _types_pb2.Record
    context_json: str
    arguments: _struct_pb2.Struct
    arguments_json: str
    entities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Entity]
    delegations: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    credentials: str
    consistency: _types_pb2.Consistency
    evidence: Evidence
    explain: bool
    mode: Mode
    def __init__(self, request_id: _Optional[str] = ..., principal: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., action: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., resource: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., context: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., typed_context: _Optional[_Union[_types_pb2.Record, _Mapping]] = ..., context_json: _Optional[str] = ..., arguments: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., arguments_json: _Optional[str] = ..., entities: _Optional[_Iterable[_Union[_types_pb2.Entity, _Mapping]]] = ..., delegations: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., credentials: _Optional[str] = ..., consistency: _Optional[_Union[_types_pb2.Consistency, _Mapping]] = ..., evidence: _Optional[_Union[Evidence, _Mapping]] = ..., explain: bool = ..., mode: _Optional[_Union[Mode, str]] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("session_id", "conversation_id", "tool_call_id", "agent_version", "model", "prompt_digest", "system_prompt_digest", "catalog_digest", "refs", "traceparent")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_PROMPT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CATALOG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REFS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    conversation_id: str
    tool_call_id: str
    agent_version: str
    model: str
    prompt_digest: str
    system_prompt_digest: str
    catalog_digest: str
    refs: _containers.RepeatedCompositeFieldContainer[EvidenceRef]
    traceparent: str
    def __init__(self, session_id: _Optional[str] = ..., conversation_id: _Optional[str] = ..., tool_call_id: _Optional[str] = ..., agent_version: _Optional[str] = ..., model: _Optional[str] = ..., prompt_digest: _Optional[str] = ..., system_prompt_digest: _Optional[str] = ..., catalog_digest: _Optional[str] = ..., refs: _Optional[_Iterable[_Union[EvidenceRef, _Mapping]]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class EvidenceRef(_message.Message):
    __slots__ = ("kind", "uri", "digest", "source", "trust")
    KIND_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    kind: str
    uri: str
    digest: str
    source: str
    trust: str
    def __init__(self, kind: _Optional[str] = ..., uri: _Optional[str] = ..., digest: _Optional[str] = ..., source: _Optional[str] = ..., trust: _Optional[str] = ...) -> None: ...

class AuthorizeResponse(_message.Message):
    __slots__ = ("decision", "decision_id", "request_id", "determining_policies", "errors", "reason", "denied_by", "advice", "obligations", "revision", "cache", "valid_until", "principal", "explanation", "generation", "chain")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DETERMINING_POLICIES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DENIED_BY_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    OBLIGATIONS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    decision_id: str
    request_id: str
    determining_policies: _containers.RepeatedCompositeFieldContainer[DeterminingPolicy]
    errors: _containers.RepeatedCompositeFieldContainer[PolicyError]
    reason: Reason
    denied_by: DeniedBy
    advice: _containers.RepeatedCompositeFieldContainer[Advice]
    obligations: _containers.RepeatedCompositeFieldContainer[Obligation]
    revision: str
    cache: CacheStatus
    valid_until: _timestamp_pb2.Timestamp
    principal: _types_pb2.EntityRef
    explanation: Explanation
    generation: str
    chain: _containers.RepeatedCompositeFieldContainer[Hop]
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., decision_id: _Optional[str] = ..., request_id: _Optional[str] = ..., determining_policies: _Optional[_Iterable[_Union[DeterminingPolicy, _Mapping]]] = ..., errors: _Optional[_Iterable[_Union[PolicyError, _Mapping]]] = ..., reason: _Optional[_Union[Reason, _Mapping]] = ..., denied_by: _Optional[_Union[DeniedBy, _Mapping]] = ..., advice: _Optional[_Iterable[_Union[Advice, _Mapping]]] = ..., obligations: _Optional[_Iterable[_Union[Obligation, _Mapping]]] = ..., revision: _Optional[str] = ..., cache: _Optional[_Union[CacheStatus, str]] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., principal: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ..., generation: _Optional[str] = ..., chain: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ...) -> None: ...

class Hop(_message.Message):
    __slots__ = ("principal", "role", "grant", "decision")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    principal: _types_pb2.EntityRef
    role: str
    grant: _types_pb2.EntityRef
    decision: Decision
    def __init__(self, principal: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., role: _Optional[str] = ..., grant: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., decision: _Optional[_Union[Decision, str]] = ...) -> None: ...

class DeterminingPolicy(_message.Message):
    __slots__ = ("policy_id", "effect", "annotations")
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    policy_id: str
    effect: PolicyEffect
    annotations: _containers.ScalarMap[str, str]
    def __init__(self, policy_id: _Optional[str] = ..., effect: _Optional[_Union[PolicyEffect, str]] = ..., annotations: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PolicyError(_message.Message):
    __slots__ = ("policy_id", "message")
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    policy_id: str
    message: str
    def __init__(self, policy_id: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class DeniedBy(_message.Message):
    __slots__ = ("hop", "principal", "rule", "grant", "policy_id")
    HOP_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    hop: int
    principal: _types_pb2.EntityRef
    rule: str
    grant: _types_pb2.EntityRef
    policy_id: str
    def __init__(self, hop: _Optional[int] = ..., principal: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., rule: _Optional[str] = ..., grant: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., policy_id: _Optional[str] = ...) -> None: ...

class Advice(_message.Message):
    __slots__ = ("type", "properties")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    type: str
    properties: _struct_pb2.Struct
    def __init__(self, type: _Optional[str] = ..., properties: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Obligation(_message.Message):
    __slots__ = ("id", "type", "properties")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    properties: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., properties: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("hops",)
    HOPS_FIELD_NUMBER: _ClassVar[int]
    hops: _containers.RepeatedCompositeFieldContainer[HopExplanation]
    def __init__(self, hops: _Optional[_Iterable[_Union[HopExplanation, _Mapping]]] = ...) -> None: ...

class HopExplanation(_message.Message):
    __slots__ = ("principal", "decision", "policies", "nearest", "role", "grant", "reason")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    principal: _types_pb2.EntityRef
    decision: Decision
    policies: _containers.RepeatedCompositeFieldContainer[PolicyOutcome]
    nearest: _containers.RepeatedCompositeFieldContainer[PolicyOutcome]
    role: str
    grant: _types_pb2.EntityRef
    reason: Reason
    def __init__(self, principal: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., decision: _Optional[_Union[Decision, str]] = ..., policies: _Optional[_Iterable[_Union[PolicyOutcome, _Mapping]]] = ..., nearest: _Optional[_Iterable[_Union[PolicyOutcome, _Mapping]]] = ..., role: _Optional[str] = ..., grant: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., reason: _Optional[_Union[Reason, _Mapping]] = ...) -> None: ...

class PolicyOutcome(_message.Message):
    __slots__ = ("policy_id", "effect", "outcome", "condition", "location")
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    policy_id: str
    effect: PolicyEffect
    outcome: str
    condition: str
    location: str
    def __init__(self, policy_id: _Optional[str] = ..., effect: _Optional[_Union[PolicyEffect, str]] = ..., outcome: _Optional[str] = ..., condition: _Optional[str] = ..., location: _Optional[str] = ...) -> None: ...

class AuthorizeBatchRequest(_message.Message):
    __slots__ = ("defaults", "requests")
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    defaults: AuthorizeRequest
    requests: _containers.RepeatedCompositeFieldContainer[AuthorizeRequest]
    def __init__(self, defaults: _Optional[_Union[AuthorizeRequest, _Mapping]] = ..., requests: _Optional[_Iterable[_Union[AuthorizeRequest, _Mapping]]] = ...) -> None: ...

class AuthorizeBatchResponse(_message.Message):
    __slots__ = ("results", "revision")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[AuthorizeResult]
    revision: str
    def __init__(self, results: _Optional[_Iterable[_Union[AuthorizeResult, _Mapping]]] = ..., revision: _Optional[str] = ...) -> None: ...

class AuthorizeResult(_message.Message):
    __slots__ = ("response", "status")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    response: AuthorizeResponse
    status: _status_pb2.Status
    def __init__(self, response: _Optional[_Union[AuthorizeResponse, _Mapping]] = ..., status: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class AuthorizeStreamResponse(_message.Message):
    __slots__ = ("request_id", "response", "status")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    response: AuthorizeResponse
    status: _status_pb2.Status
    def __init__(self, request_id: _Optional[str] = ..., response: _Optional[_Union[AuthorizeResponse, _Mapping]] = ..., status: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "revision", "cedar_version", "policies", "entities", "published_at", "features", "generation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CEDAR_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    version: str
    revision: str
    cedar_version: str
    policies: int
    entities: int
    published_at: _timestamp_pb2.Timestamp
    features: _containers.RepeatedScalarFieldContainer[str]
    generation: str
    def __init__(self, version: _Optional[str] = ..., revision: _Optional[str] = ..., cedar_version: _Optional[str] = ..., policies: _Optional[int] = ..., entities: _Optional[int] = ..., published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., features: _Optional[_Iterable[str]] = ..., generation: _Optional[str] = ...) -> None: ...
