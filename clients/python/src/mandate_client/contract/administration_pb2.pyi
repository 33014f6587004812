import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from mandate_client.contract import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_EXECUTED: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_BLOCKED: _ClassVar[Outcome]
    OUTCOME_OVERRIDDEN: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_EXECUTED: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_BLOCKED: Outcome
OUTCOME_OVERRIDDEN: Outcome

class PutEntitiesRequest(_message.Message):
    __slots__ = ("entities", "if_revision")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    entities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Entity]
    if_revision: str
    def __init__(self, entities: _Optional[_Iterable[_Union[_types_pb2.Entity, _Mapping]]] = ..., if_revision: _Optional[str] = ...) -> None: ...

class DeleteEntitiesRequest(_message.Message):
    __slots__ = ("uids", "if_revision")
    UIDS_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    uids: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    if_revision: str
    def __init__(self, uids: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., if_revision: _Optional[str] = ...) -> None: ...

class WriteResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: str
    def __init__(self, revision: _Optional[str] = ...) -> None: ...

class GetEntityRequest(_message.Message):
    __slots__ = ("uid",)
    UID_FIELD_NUMBER: _ClassVar[int]
    uid: _types_pb2.EntityRef
    def __init__(self, uid: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ...) -> None: ...

class GetEntityResponse(_message.Message):
    __slots__ = ("entity", "owner", "revision")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    entity: _types_pb2.Entity
    owner: str
    revision: str
    def __init__(self, entity: _Optional[_Union[_types_pb2.Entity, _Mapping]] = ..., owner: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class ListEntitiesRequest(_message.Message):
    __slots__ = ("type", "page_token", "page_size")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    type: str
    page_token: str
    page_size: int
    def __init__(self, type: _Optional[str] = ..., page_token: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListEntitiesResponse(_message.Message):
    __slots__ = ("entities", "next_page_token", "revision")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    entities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Entity]
    next_page_token: str
    revision: str
    def __init__(self, entities: _Optional[_Iterable[_Union[_types_pb2.Entity, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class DelegateRequest(_message.Message):
    __slots__ = ("parent", "grant", "credentials")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    parent: _types_pb2.EntityRef
    grant: _types_pb2.Entity
    credentials: str
    def __init__(self, parent: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., grant: _Optional[_Union[_types_pb2.Entity, _Mapping]] = ..., credentials: _Optional[str] = ...) -> None: ...

class DelegateResponse(_message.Message):
    __slots__ = ("grant", "revision")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    grant: _types_pb2.EntityRef
    revision: str
    def __init__(self, grant: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., revision: _Optional[str] = ...) -> None: ...

class RevokeDelegationRequest(_message.Message):
    __slots__ = ("grant", "reason")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    grant: _types_pb2.EntityRef
    reason: str
    def __init__(self, grant: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("from_revision", "include_entities", "follow", "last_write")
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ENTITIES_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    LAST_WRITE_FIELD_NUMBER: _ClassVar[int]
    from_revision: str
    include_entities: bool
    follow: bool
    last_write: str
    def __init__(self, from_revision: _Optional[str] = ..., include_entities: bool = ..., follow: bool = ..., last_write: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("revision", "changed", "revoked", "generation_published", "entities", "deleted", "suspended", "reset", "synced", "lease", "generation", "lifted", "more", "world", "of_files", "suspended_reasons", "totals", "primary", "last_write")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    GENERATION_PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LIFTED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    WORLD_FIELD_NUMBER: _ClassVar[int]
    OF_FILES_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_REASONS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    LAST_WRITE_FIELD_NUMBER: _ClassVar[int]
    revision: str
    changed: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    revoked: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    generation_published: bool
    entities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Entity]
    deleted: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    suspended: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    reset: bool
    synced: bool
    lease: _duration_pb2.Duration
    generation: bytes
    lifted: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    more: bool
    world: int
    of_files: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    suspended_reasons: _containers.RepeatedScalarFieldContainer[str]
    totals: Totals
    primary: Primary
    last_write: str
    def __init__(self, revision: _Optional[str] = ..., changed: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., revoked: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., generation_published: bool = ..., entities: _Optional[_Iterable[_Union[_types_pb2.Entity, _Mapping]]] = ..., deleted: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., suspended: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., reset: bool = ..., synced: bool = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., generation: _Optional[bytes] = ..., lifted: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., more: bool = ..., world: _Optional[int] = ..., of_files: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ..., suspended_reasons: _Optional[_Iterable[str]] = ..., totals: _Optional[_Union[Totals, _Mapping]] = ..., primary: _Optional[_Union[Primary, _Mapping]] = ..., last_write: _Optional[str] = ...) -> None: ...

class Primary(_message.Message):
    __slots__ = ("version", "process", "log", "revision_key", "settings")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    REVISION_KEY_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    version: str
    process: bytes
    log: bytes
    revision_key: bytes
    settings: _containers.ScalarMap[str, str]
    def __init__(self, version: _Optional[str] = ..., process: _Optional[bytes] = ..., log: _Optional[bytes] = ..., revision_key: _Optional[bytes] = ..., settings: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Totals(_message.Message):
    __slots__ = ("entities", "revoked", "suspended")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    entities: int
    revoked: int
    suspended: int
    def __init__(self, entities: _Optional[int] = ..., revoked: _Optional[int] = ..., suspended: _Optional[int] = ...) -> None: ...

class Generation(_message.Message):
    __slots__ = ("hash", "policies", "links", "schemas", "definitions", "emergency")
    HASH_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    SCHEMAS_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    EMERGENCY_FIELD_NUMBER: _ClassVar[int]
    hash: str
    policies: _containers.RepeatedCompositeFieldContainer[SourceFile]
    links: _containers.RepeatedCompositeFieldContainer[SourceFile]
    schemas: _containers.RepeatedCompositeFieldContainer[SourceFile]
    definitions: _containers.RepeatedCompositeFieldContainer[SourceFile]
    emergency: _containers.RepeatedCompositeFieldContainer[SourceFile]
    def __init__(self, hash: _Optional[str] = ..., policies: _Optional[_Iterable[_Union[SourceFile, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[SourceFile, _Mapping]]] = ..., schemas: _Optional[_Iterable[_Union[SourceFile, _Mapping]]] = ..., definitions: _Optional[_Iterable[_Union[SourceFile, _Mapping]]] = ..., emergency: _Optional[_Iterable[_Union[SourceFile, _Mapping]]] = ...) -> None: ...

class SourceFile(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: bytes
    def __init__(self, name: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("world", "process", "lease")
    WORLD_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    world: int
    process: bytes
    lease: _duration_pb2.Duration
    def __init__(self, world: _Optional[int] = ..., process: _Optional[bytes] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("generation", "release")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    generation: str
    release: bool
    def __init__(self, generation: _Optional[str] = ..., release: bool = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: str
    def __init__(self, generation: _Optional[str] = ...) -> None: ...

class SuspendRequest(_message.Message):
    __slots__ = ("principal", "reason", "lift")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LIFT_FIELD_NUMBER: _ClassVar[int]
    principal: _types_pb2.EntityRef
    reason: str
    lift: bool
    def __init__(self, principal: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., reason: _Optional[str] = ..., lift: bool = ...) -> None: ...

class BackupRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BackupResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("to", "principal", "delegator", "resource", "decision", "policy_id", "session_id", "decision_id", "limit", "action", "kind", "conversation_id")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    DELEGATOR_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    principal: _types_pb2.EntityRef
    delegator: _types_pb2.EntityRef
    resource: _types_pb2.EntityRef
    decision: str
    policy_id: str
    session_id: str
    decision_id: str
    limit: int
    action: str
    kind: str
    conversation_id: str
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., principal: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., delegator: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., resource: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., decision: _Optional[str] = ..., policy_id: _Optional[str] = ..., session_id: _Optional[str] = ..., decision_id: _Optional[str] = ..., limit: _Optional[int] = ..., action: _Optional[str] = ..., kind: _Optional[str] = ..., conversation_id: _Optional[str] = ..., **kwargs) -> None: ...

class TailRequest(_message.Message):
    __slots__ = ("after_decision_id",)
    AFTER_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    after_decision_id: str
    def __init__(self, after_decision_id: _Optional[str] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...

class ReportOutcomeRequest(_message.Message):
    __slots__ = ("decision_id", "outcome", "input_digest", "result_digest", "detail")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    outcome: Outcome
    input_digest: str
    result_digest: str
    detail: str
    def __init__(self, decision_id: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., input_digest: _Optional[str] = ..., result_digest: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class ReportOutcomeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
