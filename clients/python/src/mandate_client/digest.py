"""Digests as Mandate makes them: SHA-256 over RFC 8785."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785


def canonical(value: Mapping[str, Any]) -> bytes:
    """Write a JSON object in its canonical form.

    Raises `ValueError` for what has none: names that are not text, numbers that are not finite, whole numbers beyond
    ±(2^53−1), lone surrogates, values that are not JSON's.
    """
    return rfc8785.dumps(dict(value))


def of_json(value: Mapping[str, Any]) -> str:
    """Digest a JSON object: arguments of a tool call, or a tool's definition as `tools/list` tells it."""
    return of_bytes(canonical(value))


def of_bytes(content: bytes) -> str:
    """Digest bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
