"""Asks Mandate, the policy decision point for AI agents. Whatever is not an allow is a deny."""

from mandate_client.async_client import AsyncClient
from mandate_client.client import Client
from mandate_client.decision import (
    Advice,
    Decision,
    Denied,
    DeniedBy,
    DeterminingPolicy,
    Hop,
    Obligation,
    PolicyError,
    Reason,
)
from mandate_client.entities import Entity, EntityRef, Typed, action, agent, data, delegation, tool, user
from mandate_client.options import Options, Tls
from mandate_client.outcome import NotReported, Outcome, Report
from mandate_client.question import Evidence, EvidenceRef, Question
from mandate_client.search import Candidate, Found, Search, SearchFailed, Sought, Through

__all__ = [
    "Advice",
    "AsyncClient",
    "Candidate",
    "Client",
    "Decision",
    "Denied",
    "DeniedBy",
    "DeterminingPolicy",
    "Entity",
    "EntityRef",
    "Evidence",
    "EvidenceRef",
    "Found",
    "Hop",
    "NotReported",
    "Obligation",
    "Options",
    "Outcome",
    "PolicyError",
    "Question",
    "Reason",
    "Report",
    "Search",
    "SearchFailed",
    "Sought",
    "Through",
    "Tls",
    "Typed",
    "action",
    "agent",
    "data",
    "delegation",
    "tool",
    "user",
]
