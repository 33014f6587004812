import type { JsonObject } from "@bufbuild/protobuf";

/** A Cedar entity uid, such as `Mandate::Agent::"planner"`. An action may leave the type empty: the server's default namespace is meant then. */
export type EntityRef = { readonly type: string; readonly id: string };

/** A person of the shipped agent domain. */
export const user = (id: string): EntityRef => ({ type: "Mandate::User", id });

/** An agent of the shipped agent domain. */
export const agent = (id: string): EntityRef => ({ type: "Mandate::Agent", id });

/** A tool of an MCP server, named as `mandate import-mcp` does. */
export const tool = (server: string, name: string): EntityRef => ({ type: "Mandate::Tool", id: `${server}/${name}` });

/** A stored grant of the shipped agent domain. */
export const delegation = (id: string): EntityRef => ({ type: "Mandate::Delegation", id });

/** An action of the server's default namespace. */
export const action = (id: string): EntityRef => ({ type: "", id });

/** For the decision log alone; no policy reads it. */
export type Evidence = {
  readonly sessionId?: string;
  readonly conversationId?: string;
  readonly toolCallId?: string;
  readonly agentVersion?: string;
  readonly model?: string;
  readonly promptDigest?: string;
  readonly systemPromptDigest?: string;
  readonly catalogDigest?: string;
  readonly traceparent?: string;
};

/** One question. `principal` may be left out where `credentials` say who acts. */
export type Question = {
  readonly principal?: EntityRef;
  readonly action: EntityRef;
  readonly resource: EntityRef;
  /** JSON, converted as the schema directs; or Cedar JSON as text, which says what JSON's numbers cannot. */
  readonly context?: JsonObject | string;
  /** Raw arguments of the tool call. A call without any says `{}`. */
  readonly arguments?: JsonObject;
  /** The grant under which the principal acts; those above it are found by their parents. */
  readonly delegations?: readonly EntityRef[];
  /** The subject's bearer token. */
  readonly credentials?: string;
  /** Answer from this revision of the store or a later one. */
  readonly minimumRevision?: string;
  readonly bypassCache?: boolean;
  readonly evidence?: Evidence;
  /** Say that the answer will not be enforced. The answer is the same; the record tells. */
  readonly observe?: boolean;
};
