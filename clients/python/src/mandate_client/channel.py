"""What both clients tell gRPC: methods, retries, keepalive, credentials."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from mandate_client.contract import administration_pb2, authorization_pb2
from mandate_client.options import Address, Options

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)

AUTHORIZATION = "mandate.v1.AuthorizationService"
DECISION_LOG = "mandate.v1.DecisionLogService"

LARGEST_ANSWER = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Method(Generic[Asked, Answered]):
    """A unary method of the contract."""

    path: str
    answered: type[Answered]

    def serialize(self, message: Asked) -> bytes:
        """Write a request."""
        return message.SerializeToString()

    def parse(self, content: bytes) -> Answered:
        """Read an answer."""
        return self.answered.FromString(content)


AUTHORIZE: Method[authorization_pb2.AuthorizeRequest, authorization_pb2.AuthorizeResponse] = Method(
    f"/{AUTHORIZATION}/Authorize", authorization_pb2.AuthorizeResponse
)
AUTHORIZE_BATCH: Method[authorization_pb2.AuthorizeBatchRequest, authorization_pb2.AuthorizeBatchResponse] = Method(
    f"/{AUTHORIZATION}/AuthorizeBatch", authorization_pb2.AuthorizeBatchResponse
)
REPORT_OUTCOME: Method[administration_pb2.ReportOutcomeRequest, administration_pb2.ReportOutcomeResponse] = Method(
    f"/{DECISION_LOG}/ReportOutcome", administration_pb2.ReportOutcomeResponse
)

# Asking twice decides twice, and allows nothing more. An outcome told twice would be found as told twice.
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": AUTHORIZATION}, {"service": "mandate.v1.SearchService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.3s",
                "backoffMultiplier": 2.5,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def arguments(options: Options) -> list[tuple[str, Any]]:
    """List what a channel is opened with."""
    stated: list[tuple[str, Any]] = [
        ("grpc.service_config", json.dumps(RETRIES)),
        ("grpc.max_receive_message_length", LARGEST_ANSWER),
        # A server that came back is found within a deadline, not after gRPC's usual second or two minutes.
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # A connection that leads nowhere is noticed.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        # Decisions are not asked for through a proxy that happens to stand in the environment.
        ("grpc.enable_http_proxy", 0),
        ("grpc.primary_user_agent", "mandate-client-python"),
    ]
    if options.tls is not None and options.tls.server_name:
        stated.append(("grpc.ssl_target_name_override", options.tls.server_name))
    return stated


def credentials(address: Address, options: Options) -> grpc.ChannelCredentials | None:
    """Make what secures a channel; nothing for a plain one."""
    if not address.secured:
        return None
    tls = options.tls
    if tls is None:
        return grpc.ssl_channel_credentials()
    return grpc.ssl_channel_credentials(tls.authorities, tls.key, tls.certificate)


def metadata(options: Options) -> tuple[tuple[str, str], ...]:
    """Make the metadata of a call, which says who calls."""
    token = options.bearer()
    return () if token is None else (("authorization", f"Bearer {token}"),)
