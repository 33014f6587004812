"""How a server is reached, and what holds for every call to it."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEFAULT_PORT = 4466
DEFAULT_DEADLINE = 1.0
LONGEST_DEADLINE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What secures an `https://` connection. Everything is PEM."""

    authorities: bytes | None = None
    """Who may vouch for the server; by default whom gRPC trusts."""
    certificate: bytes | None = field(default=None, repr=False)
    """The caller's own certificate (X.509-SVID), followed by those between it and its authority."""
    key: bytes | None = field(default=None, repr=False)
    server_name: str = ""
    """The name that the server's certificate must be for, where it is not the address's."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate and its key go together: give both or neither")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What holds for every call. A token or key is never shown."""

    deadline: float = DEFAULT_DEADLINE
    """Seconds that an answer may take, retries included; then it is denied. At most 60."""
    fulfils: Collection[str] = frozenset()
    """Types of obligations that whoever acts on the answers fulfils. An Allow with any other one is no Allow."""
    token: str | Callable[[], str] | None = field(default=None, repr=False)
    """The caller's own bearer token, or what gives the current one for each call."""
    tls: Tls | None = None
    insecure_plaintext: bool = False
    """Speak `http://` beyond this host. Whoever is in between then decides."""

    def __post_init__(self) -> None:
        check_deadline(self.deadline)
        if isinstance(self.fulfils, str):
            raise TypeError("fulfils is a set of types, not a text")

    def bearer(self) -> str | None:
        """Give the token to show now."""
        return self.token() if callable(self.token) else self.token


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    target: str
    """`host:port`, as gRPC takes it."""
    secured: bool

    @staticmethod
    def parse(url: str, options: Options) -> Address:
        """Read `https://host:port`, or `http://` on this host."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"an address is https://HOST:PORT, or http://HOST:PORT on this host: {url!r}")
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
            raise ValueError("an address has a host and a port, and nothing else")
        secured = parts.scheme == "https"
        if options.tls is not None and not secured:
            raise ValueError("tls needs an https:// address")
        if not secured and not options.insecure_plaintext and not _is_loopback(parts.hostname):
            raise ValueError(
                f"{parts.hostname} is another host: use https://, or say insecure_plaintext=True and let whoever is "
                "in between decide"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return Address(f"{host}:{parts.port or DEFAULT_PORT}", secured)


def check_deadline(seconds: float) -> float:
    """Return the deadline if it is one: there is no call without."""
    if not (math.isfinite(seconds) and 0 < seconds <= LONGEST_DEADLINE):
        raise ValueError(f"a deadline is more than 0 and at most {LONGEST_DEADLINE:.0f} seconds, not {seconds}")
    return float(seconds)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
