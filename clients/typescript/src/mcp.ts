import type { JsonObject } from "@bufbuild/protobuf";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  type CallToolRequest,
  CallToolRequestSchema,
  type CallToolResult,
  type ListToolsRequest,
  ListToolsRequestSchema,
  type ListToolsResult,
  McpError,
  type ServerNotification,
  type ServerRequest,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { digestOf } from "./canonical.js";
import type { Client } from "./client.js";
import { type Decision, denial, unanswered } from "./decision.js";
import { NotReported, type Outcome } from "./outcome.js";
import type { EntityRef, Evidence, Question } from "./question.js";
import { type Search, SearchFailed } from "./search.js";

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Who acts, and on whose behalf: named, or said by a token. */
export type Subject = Pick<Question, "principal" | "delegations" | "credentials">;

/** What this enforcement point says of the session. Policies believe it, so say only what is known here. */
export type Facts = {
  /** `context.session`. */
  readonly session: JsonObject;
  /** `context.touches`: the data that the call reaches; an empty list says that it reaches none. */
  readonly touches: readonly EntityRef[];
  readonly evidence?: Evidence;
};

/** What the agent is about to do: a tool and its arguments, or neither for the list of tools. */
export type Asked = { readonly tool?: string; readonly arguments?: JsonObject; readonly extra: Extra };

export type GuardOptions = {
  readonly client: Client;
  /** The server's name in Mandate: its tools are stored as `<server>/<tool>`. */
  readonly server: string;
  readonly subject: (asked: Asked) => Subject | Promise<Subject>;
  readonly facts: (asked: Asked) => Facts | Promise<Facts>;
  readonly namespace?: string;
  /** Hears of outcomes that did not reach the log. */
  readonly onNotReported?: (error: NotReported) => void;
};

/** The server's own handlers, which run for what is allowed. */
export type ToolHandlers = {
  readonly listTools: (request: ListToolsRequest, extra: Extra) => ListToolsResult | Promise<ListToolsResult>;
  readonly callTool: (request: CallToolRequest, extra: Extra) => CallToolResult | Promise<CallToolResult>;
};

/** The code of JSON-RPC that a denial has where MCP has no result to tell it by. */
const DENIED = -32001;

const MOST_IN_A_BATCH = 100;
const MOST_PAGES = 1_000;

/** What protects a server's tools. */
export type Protection = {
  /** Waits until the outcomes so far are reported. */
  readonly flush: () => Promise<void>;
};

/** Has a server answer for its tools only as Mandate allows; whatever goes wrong denies. */
export function protectTools(server: Server, options: GuardOptions, handlers: ToolHandlers): Protection {
  const guard = new ToolGuard(options, handlers);
  server.setRequestHandler(ListToolsRequestSchema, (request, extra) => guard.listTools(request, extra));
  server.setRequestHandler(CallToolRequestSchema, (request, extra) => guard.callTool(request, extra));
  return guard;
}

class ToolGuard implements Protection {
  readonly #pending = new Set<Promise<void>>();

  constructor(
    readonly options: GuardOptions,
    readonly handlers: ToolHandlers,
  ) {}

  flush = async (): Promise<void> => {
    await Promise.all(this.#pending);
  };

  /** Shows the tools that may be called, to those who may see the server's list. */
  async listTools(request: ListToolsRequest, extra: Extra): Promise<ListToolsResult> {
    const decision = await this.#decide(() => this.#listing({ extra }));
    if (!decision.allowed) {
      this.#report(decision, "blocked");
      throw refusal(decision);
    }
    const listed = await this.handlers.listTools(request, extra);
    return { ...listed, tools: await this.#shown(listed.tools, extra) };
  }

  /** Decides a call by the tool's definition and its arguments, and runs what is allowed. */
  async callTool(request: CallToolRequest, extra: Extra): Promise<CallToolResult> {
    const { name } = request.params;
    const given = (request.params.arguments ?? {}) as JsonObject;
    const decision = await this.#decide(async () => {
      const tool = await this.#defined(name, extra);
      return tool && this.#calling(tool, { tool: name, arguments: given, extra });
    });
    if (!decision.allowed) {
      this.#report(decision, "blocked");
      return denied(decision);
    }
    let outcome: Outcome = "failed";
    try {
      const result = await this.handlers.callTool(request, extra);
      outcome = result.isError === true ? "failed" : "executed";
      return result;
    } finally {
      this.#report(decision, outcome, given);
    }
  }

  /** Of some tools those that a search finds; a server that cannot search is asked about each. */
  async #shown(tools: readonly Tool[], extra: Extra): Promise<Tool[]> {
    try {
      const found = await this.options.client.searchResources(await this.#searching(tools, extra));
      const ids = new Set(found.map(({ uid }) => uid.id));
      return tools.filter((tool) => ids.has(this.#id(tool.name)));
    } catch (error) {
      if (!(error instanceof SearchFailed)) throw refusal(unasked(error));
      if (error.code !== "unimplemented") throw refusal(unanswered(error.code, error.reason));
    }
    return this.#usable(tools, extra);
  }

  /** A search among tools, whose arguments and data nobody knows yet. */
  async #searching(tools: readonly Tool[], extra: Extra): Promise<Search> {
    const question = await this.#listing({ extra });
    const { namespace = "Mandate" } = this.options;
    return {
      question: {
        ...question,
        action: { type: `${namespace}::Action`, id: "call_tool" },
        resource: { type: `${namespace}::Tool`, id: "" },
      },
      candidates: tools.map((tool) => ({ id: this.#id(tool.name), context: { digest: digestOf(asSent(tool)) } })),
      unknown: ["touches"],
    };
  }

  /** The id under which a tool of the server is stored. */
  #id(name: string): string {
    return `${this.options.server}/${name}`;
  }

  /** Of some tools those that may be called, or of which only the arguments of a call can tell. */
  async #usable(tools: readonly Tool[], extra: Extra): Promise<Tool[]> {
    const shown: Tool[] = [];
    for (let start = 0; start < tools.length; start += MOST_IN_A_BATCH) {
      const some = tools.slice(start, start + MOST_IN_A_BATCH);
      const decisions = await this.#decideAll(some, extra);
      shown.push(...some.filter((_, place) => mayBeShown(decisions[place])));
    }
    return shown;
  }

  async #decide(ask: () => Promise<Question | undefined>): Promise<Decision> {
    try {
      const question = await ask();
      if (question === undefined) return unanswered("unknown_resource", "The server offers no such tool.");
      return await this.options.client.authorize(question);
    } catch (error) {
      return unasked(error);
    }
  }

  async #decideAll(tools: readonly Tool[], extra: Extra): Promise<Decision[]> {
    try {
      const asked = tools.map((tool) => this.#calling(tool, { tool: tool.name, arguments: {}, extra }));
      return await this.options.client.authorizeBatch(await Promise.all(asked));
    } catch (error) {
      return tools.map(() => unasked(error));
    }
  }

  async #listing(asked: Asked): Promise<Question> {
    const facts = await this.options.facts(asked);
    return this.#question(asked, facts, "list_tools", ["ToolServer", this.options.server], {});
  }

  async #calling(tool: Tool, asked: Asked): Promise<Question> {
    const facts = await this.options.facts(asked);
    const touches = facts.touches.map(({ type, id }) => ({ type, id }));
    const context = { digest: digestOf(asSent(tool)), touches };
    const named = ["Tool", this.#id(tool.name)] as const;
    const question = await this.#question(asked, facts, "call_tool", named, context);
    return { ...question, arguments: asked.arguments ?? {} };
  }

  async #question(
    asked: Asked,
    facts: Facts,
    action: string,
    [type, id]: readonly [string, string],
    context: JsonObject,
  ): Promise<Question> {
    const { namespace = "Mandate", subject } = this.options;
    return {
      ...(await subject(asked)),
      action: { type: `${namespace}::Action`, id: action },
      resource: { type: `${namespace}::${type}`, id },
      context: { session: facts.session, ...context },
      evidence: { toolCallId: String(asked.extra.requestId), ...facts.evidence },
    };
  }

  /** The tool's definition as the server tells it, on whichever page. */
  async #defined(name: string, extra: Extra): Promise<Tool | undefined> {
    let cursor: string | undefined;
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const params = cursor === undefined ? {} : { cursor };
      const page = await this.handlers.listTools({ method: "tools/list", params }, extra);
      const found = page.tools.find((tool) => tool.name === name);
      if (found !== undefined) return found;
      cursor = page.nextCursor;
      if (cursor === undefined) return undefined;
    }
    return undefined;
  }

  /** Reports an outcome, without anybody waiting for it. */
  #report(decision: Decision, outcome: Outcome, given?: JsonObject): void {
    if (decision.decisionId === "") return;
    const report = { decision, outcome, ...(given && { arguments: given }) };
    const told = this.options.client.reportOutcome(report).catch((error: unknown) => {
      if (error instanceof NotReported) this.options.onNotReported?.(error);
    });
    this.#pending.add(told);
    told.finally(() => this.#pending.delete(told));
  }
}

/** A definition as JSON tells it: without members that are undefined. */
function asSent(tool: Tool): JsonObject {
  return JSON.parse(JSON.stringify(tool)) as JsonObject;
}

function mayBeShown(decision: Decision | undefined): boolean {
  return decision !== undefined && (decision.allowed || decision.reason?.code === "invalid_request");
}

function refusal(decision: Decision): McpError {
  const told = { code: decision.reason?.code, decision_id: decision.decisionId };
  return new McpError(DENIED, denial(decision), told);
}

function unasked(error: unknown): Decision {
  const kind = error instanceof Error ? error.name : typeof error;
  return unanswered("not_asked", `The question could not be made: ${kind}.`);
}

/** A denial as a result, which the agent hands to its model, where an error of the protocol may end the run. */
function denied(decision: Decision): CallToolResult {
  const told = { code: decision.reason?.code ?? "", decision_id: decision.decisionId };
  return { content: [{ type: "text", text: denial(decision) }], isError: true, _meta: { "mandate/denied": told } };
}
