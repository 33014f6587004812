/** A server that answers whatever a test says, right or wrong. */
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  AuthorizationService,
  type AuthorizeRequest,
  type AuthorizeResponse,
  AuthorizeResponseSchema,
  Decision,
} from "../src/contract/mandate/v1/authorization_pb.js";
import { SearchService } from "../src/contract/mandate/v1/search_pb.js";

export class WrongServer {
  private constructor(
    private readonly server: http2.Http2Server,
    readonly url: string,
    private readonly sessions: Set<http2.ServerHttp2Session>,
  ) {}

  static async start(
    answers: Partial<ServiceImpl<typeof AuthorizationService>>,
    search?: Partial<ServiceImpl<typeof SearchService>>,
  ): Promise<WrongServer> {
    const server = http2.createServer(
      connectNodeAdapter({
        routes: (router) => {
          router.service(AuthorizationService, answers);
          if (search !== undefined) router.service(SearchService, search);
        },
      }),
    );
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on("session", (session) => sessions.add(session));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new WrongServer(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sessions);
  }

  stop(): void {
    for (const session of this.sessions) session.destroy();
    this.server.close();
  }
}

/** An Allow without fault. */
export function allow(request: AuthorizeRequest): AuthorizeResponse {
  return create(AuthorizeResponseSchema, {
    decision: Decision.ALLOW,
    decisionId: "01a2",
    requestId: request.requestId,
    revision: "r",
    generation: "g",
    ...(request.principal && { principal: request.principal }),
  });
}
