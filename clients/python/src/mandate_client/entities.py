"""Names of principals, actions and resources, and entities that a request brings itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class EntityRef:
    """A Cedar entity uid, such as `Mandate::Agent::"planner"`."""

    type: str
    """The fully qualified type name. An action may leave it empty: the server's default namespace is meant then."""
    id: str

    def __str__(self) -> str:
        """Write it as policies do."""
        quoted = self.id.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.type}::"{quoted}"'


def user(name: str) -> EntityRef:
    """Name a person of the shipped agent domain."""
    return EntityRef("Mandate::User", name)


def agent(name: str) -> EntityRef:
    """Name an agent of the shipped agent domain."""
    return EntityRef("Mandate::Agent", name)


def tool(server: str, name: str) -> EntityRef:
    """Name a tool of an MCP server, as `mandate import-mcp` does."""
    return EntityRef("Mandate::Tool", f"{server}/{name}")


def data(name: str) -> EntityRef:
    """Name a piece of data of the shipped agent domain."""
    return EntityRef("Mandate::Data", name)


def delegation(name: str) -> EntityRef:
    """Name a stored grant of the shipped agent domain."""
    return EntityRef("Mandate::Delegation", name)


def action(name: str) -> EntityRef:
    """Name an action of the server's default namespace."""
    return EntityRef("", name)


Value: TypeAlias = (
    "bool | int | str | Decimal | datetime | timedelta | IPv4Address | IPv4Network | IPv6Address | IPv6Network"
    " | EntityRef | Sequence[Value] | Set[Value] | Mapping[str, Value]"
)
"""A Cedar value. Whole numbers have 64 bits, instants milliseconds, decimals four places."""

Json: TypeAlias = "None | bool | int | float | str | EntityRef | Sequence[Json] | Mapping[str, Json]"
"""A JSON value; an entity stands for the object `{"type", "id"}`. Whole numbers keep within ±(2^53−1)."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A context of Cedar values, where JSON cannot say what is meant."""

    record: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity that a request brings; only of types that the schema marks `@request_scoped`."""

    uid: EntityRef
    attributes: Mapping[str, Value] = field(default_factory=dict)
    parents: Sequence[EntityRef] = ()
    tags: Mapping[str, Value] = field(default_factory=dict)
