from google.protobuf import struct_pb2 as _struct_pb2
from mandate_client.contract import authorization_pb2 as _authorization_pb2
from mandate_client.contract import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Certainty(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CERTAINTY_UNSPECIFIED: _ClassVar[Certainty]
    CERTAINTY_CERTAIN: _ClassVar[Certainty]
    CERTAINTY_POSSIBLE: _ClassVar[Certainty]
CERTAINTY_UNSPECIFIED: Certainty
CERTAINTY_CERTAIN: Certainty
CERTAINTY_POSSIBLE: Certainty

class SearchRequest(_message.Message):
    __slots__ = ("question", "candidates", "unknown", "any_delegation", "page_size", "page_token")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    ANY_DELEGATION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    question: _authorization_pb2.AuthorizeRequest
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    unknown: _containers.RepeatedScalarFieldContainer[str]
    any_delegation: bool
    page_size: int
    page_token: str
    def __init__(self, question: _Optional[_Union[_authorization_pb2.AuthorizeRequest, _Mapping]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., unknown: _Optional[_Iterable[str]] = ..., any_delegation: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("id", "context")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    id: str
    context: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., context: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("found", "next_page_token", "revision", "generation", "decision_id", "request_id", "examined", "refused", "refusal")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXAMINED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    found: _containers.RepeatedCompositeFieldContainer[Found]
    next_page_token: str
    revision: str
    generation: str
    decision_id: str
    request_id: str
    examined: int
    refused: int
    refusal: str
    def __init__(self, found: _Optional[_Iterable[_Union[Found, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[str] = ..., generation: _Optional[str] = ..., decision_id: _Optional[str] = ..., request_id: _Optional[str] = ..., examined: _Optional[int] = ..., refused: _Optional[int] = ..., refusal: _Optional[str] = ...) -> None: ...

class Found(_message.Message):
    __slots__ = ("uid", "action", "certainty", "through")
    UID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    THROUGH_FIELD_NUMBER: _ClassVar[int]
    uid: _types_pb2.EntityRef
    action: _types_pb2.EntityRef
    certainty: Certainty
    through: _containers.RepeatedCompositeFieldContainer[Through]
    def __init__(self, uid: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., action: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., certainty: _Optional[_Union[Certainty, str]] = ..., through: _Optional[_Iterable[_Union[Through, _Mapping]]] = ...) -> None: ...

class Through(_message.Message):
    __slots__ = ("delegation", "chain")
    DELEGATION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    delegation: _types_pb2.EntityRef
    chain: _containers.RepeatedCompositeFieldContainer[_types_pb2.EntityRef]
    def __init__(self, delegation: _Optional[_Union[_types_pb2.EntityRef, _Mapping]] = ..., chain: _Optional[_Iterable[_Union[_types_pb2.EntityRef, _Mapping]]] = ...) -> None: ...
