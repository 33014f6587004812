"""A server that answers whatever a test says, right or wrong."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.message import Message

from mandate_client.contract import authorization_pb2 as pb
from mandate_client.contract import search_pb2

Answer = Callable[[pb.AuthorizeRequest, grpc.ServicerContext], Message | bytes]
SearchAnswer = Callable[[search_pb2.SearchRequest, grpc.ServicerContext], Message | bytes]
BatchAnswer = Callable[[pb.AuthorizeBatchRequest, grpc.ServicerContext], Message | bytes]


def _bytes(answer: Message | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


class WrongServer:
    """`AuthorizationService` and `SearchService` whose answers are given by functions."""

    def __init__(
        self,
        authorize: Answer | None = None,
        batch: BatchAnswer | None = None,
        search: SearchAnswer | None = None,
    ) -> None:
        handlers: dict[str, Any] = {}
        if authorize is not None:
            handlers["Authorize"] = grpc.unary_unary_rpc_method_handler(
                authorize, pb.AuthorizeRequest.FromString, _bytes
            )
        if batch is not None:
            handlers["AuthorizeBatch"] = grpc.unary_unary_rpc_method_handler(
                batch, pb.AuthorizeBatchRequest.FromString, _bytes
            )
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("mandate.v1.AuthorizationService", handlers),)
        )
        if search is not None:
            found = grpc.unary_unary_rpc_method_handler(search, search_pb2.SearchRequest.FromString, _bytes)
            self.server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("mandate.v1.SearchService", {"SearchResources": found}),)
            )
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.url = f"http://127.0.0.1:{self.port}"
        self.server.start()

    def stop(self) -> None:
        self.server.stop(0).wait()


def allow(request: pb.AuthorizeRequest) -> pb.AuthorizeResponse:
    """An Allow without fault."""
    return pb.AuthorizeResponse(
        decision=pb.DECISION_ALLOW,
        decision_id="01a2",
        request_id=request.request_id,
        revision="r",
        generation="g",
        principal=request.principal,
    )
