import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntityRef(_message.Message):
    __slots__ = ("type", "id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    type: str
    id: str
    def __init__(self, type: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("boolean", "long", "string", "entity", "set", "record", "decimal", "ipaddr", "datetime", "duration")
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    LONG_FIELD_NUMBER: _ClassVar[int]
    STRING_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    DECIMAL_FIELD_NUMBER: _ClassVar[int]
    IPADDR_FIELD_NUMBER: _ClassVar[int]
    DATETIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    boolean: bool
    long: int
    string: str
    entity: EntityRef
    set: Set
    record: Record
    decimal: str
    ipaddr: str
    datetime: _timestamp_pb2.Timestamp
    duration: str
    def __init__(self, boolean: bool = ..., long: _Optional[int] = ..., string: _Optional[str] = ..., entity: _Optional[_Union[EntityRef, _Mapping]] = ..., set: _Optional[_Union[Set, _Mapping]] = ..., record: _Optional[_Union[Record, _Mapping]] = ..., decimal: _Optional[str] = ..., ipaddr: _Optional[str] = ..., datetime: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration: _Optional[str] = ...) -> None: ...

class Set(_message.Message):
    __slots__ = ("elements",)
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    elements: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, elements: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("attributes",)
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.MessageMap[str, Value]
    def __init__(self, attributes: _Optional[_Mapping[str, Value]] = ...) -> None: ...

class Entity(_message.Message):
    __slots__ = ("uid", "attributes", "parents", "tags")
    UID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    uid: EntityRef
    attributes: Record
    parents: _containers.RepeatedCompositeFieldContainer[EntityRef]
    tags: Record
    def __init__(self, uid: _Optional[_Union[EntityRef, _Mapping]] = ..., attributes: _Optional[_Union[Record, _Mapping]] = ..., parents: _Optional[_Iterable[_Union[EntityRef, _Mapping]]] = ..., tags: _Optional[_Union[Record, _Mapping]] = ...) -> None: ...

class Consistency(_message.Message):
    __slots__ = ("minimum_revision", "bypass_cache")
    MINIMUM_REVISION_FIELD_NUMBER: _ClassVar[int]
    BYPASS_CACHE_FIELD_NUMBER: _ClassVar[int]
    minimum_revision: str
    bypass_cache: bool
    def __init__(self, minimum_revision: _Optional[str] = ..., bypass_cache: bool = ...) -> None: ...
