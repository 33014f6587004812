import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError, createClient, type Client as Service } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import * as answers from "./answers.js";
import * as asking from "./asking.js";
import { digestOf } from "./canonical.js";
import {
  DecisionLogService,
  Outcome as Outcomes,
  ReportOutcomeRequestSchema,
} from "./contract/mandate/v1/administration_pb.js";
import { AuthorizationService } from "./contract/mandate/v1/authorization_pb.js";
import { SearchService } from "./contract/mandate/v1/search_pb.js";
import { type Decision, required } from "./decision.js";
import { refused, told } from "./failures.js";
import { checkedAddress, checkedDeadline, type Options, type Tls } from "./options.js";
import type { Outcome, Report } from "./outcome.js";
import { NotReported } from "./outcome.js";
import type { Question } from "./question.js";
import { type Found, found, MOST_PAGES, page, type Search, SearchFailed } from "./search.js";

/** Of one call: another deadline than the client's, and a signal that ends it. */
export type Bounds = { readonly deadlineMs?: number; readonly signal?: AbortSignal };

const DEFAULT_DEADLINE_MS = 1_000;
const LARGEST_ANSWER = 16 * 1024 * 1024;

/** How long to wait before a server that is unavailable is asked again, in milliseconds; then it is asked no more. */
const BACKOFF_MS = [20, 50, 125, 300];

const OUTCOMES: Record<Outcome, Outcomes> = {
  executed: Outcomes.EXECUTED,
  failed: Outcomes.FAILED,
  blocked: Outcomes.BLOCKED,
  overridden: Outcomes.OVERRIDDEN,
};

/** A connection to a server. It is opened by the first call and kept; `close` it for the process to end. */
export class Client {
  readonly #sessions: Http2SessionManager;
  readonly #authorization: Service<typeof AuthorizationService>;
  readonly #log: Service<typeof DecisionLogService>;
  readonly #search: Service<typeof SearchService>;
  readonly #fulfils: ReadonlySet<string>;
  readonly #deadlineMs: number;
  readonly #token: Options["token"];

  constructor(address: string, options: Options = {}) {
    const baseUrl = checkedAddress(address, options);
    this.#deadlineMs = checkedDeadline(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    this.#fulfils = new Set(options.fulfils);
    this.#token = options.token;
    const pings = { pingIntervalMs: 30_000, pingTimeoutMs: 5_000 };
    this.#sessions = new Http2SessionManager(baseUrl, pings, secured(options.tls));
    const transport = createGrpcTransport({ baseUrl, sessionManager: this.#sessions, readMaxBytes: LARGEST_ANSWER });
    this.#authorization = createClient(AuthorizationService, transport);
    this.#log = createClient(DecisionLogService, transport);
    this.#search = createClient(SearchService, transport);
  }

  /** Asks one question. Nothing that goes wrong is thrown: it is a decision that does not allow, and says why. */
  async authorize(question: Question, bounds: Bounds = {}): Promise<Decision> {
    const requestId = randomUUID();
    try {
      const message = asking.request(question, requestId);
      const answer = await this.#retried(bounds, (options) => this.#authorization.authorize(message, options));
      return answers.decision(answer, question, requestId, this.#fulfils);
    } catch (error) {
      return refused(error);
    }
  }

  /** Asks one question, and throws `Denied` unless it is allowed. */
  async require(question: Question, bounds: Bounds = {}): Promise<Decision> {
    return required(await this.authorize(question, bounds));
  }

  /**
   * Asks up to 100 questions in one world, with the same credentials and consistency. The decisions are in the order of the
   * questions; where the whole batch fails, each of them says so.
   */
  async authorizeBatch(questions: readonly Question[], bounds: Bounds = {}): Promise<Decision[]> {
    const requestIds = questions.map(() => randomUUID());
    try {
      const message = asking.batch(questions, requestIds);
      const answer = await this.#retried(bounds, (options) => this.#authorization.authorizeBatch(message, options));
      return answers.decisions(answer, questions, requestIds, this.#fulfils);
    } catch (error) {
      return questions.map(() => refused(error));
    }
  }

  /**
   * Tells the log what came of a decision.
   * @throws {NotReported} if that fails. It is not tried again: told twice it would be found as told twice.
   */
  async reportOutcome(report: Report, bounds: Bounds = {}): Promise<void> {
    try {
      const message = create(ReportOutcomeRequestSchema, {
        decisionId: report.decision.decisionId,
        outcome: OUTCOMES[report.outcome],
        inputDigest: report.arguments === undefined ? "" : digestOf(report.arguments),
        resultDigest: report.resultDigest ?? "",
        detail: report.detail ?? "",
      });
      await this.#log.reportOutcome(message, await this.#call(bounds, this.#end(bounds)));
    } catch (error) {
      const { code, message } = told(error);
      throw new NotReported(code, message);
    }
  }

  /**
   * Finds the resources that a question would be allowed for, on as many pages as there are.
   * @throws {SearchFailed} if that fails: nothing is known then.
   */
  async searchResources(search: Search, bounds: Bounds = {}): Promise<Found[]> {
    const every: Found[] = [];
    try {
      const end = this.#end(bounds);
      let token = "";
      for (let pages = 0; pages < MOST_PAGES; pages += 1) {
        const requestId = randomUUID();
        const message = page(search, requestId, token);
        const answer = await this.#retried(bounds, (options) => this.#search.searchResources(message, options), end);
        every.push(...found(answer, requestId));
        token = answer.nextPageToken;
        if (token === "") return every;
      }
    } catch (error) {
      const { code, message } = told(error);
      throw error instanceof SearchFailed ? error : new SearchFailed(code, message);
    }
    throw new SearchFailed("too_long", "The search has more pages than are turned.");
  }

  /** Closes the connection. */
  close(): void {
    this.#sessions.abort();
  }

  /** Asks again while the server is unavailable and the deadline has not passed: asking twice allows nothing more. */
  async #retried<Answer>(
    bounds: Bounds,
    ask: (options: CallOptions) => Promise<Answer>,
    end = this.#end(bounds),
  ): Promise<Answer> {
    for (const pause of BACKOFF_MS) {
      try {
        return await ask(await this.#call(bounds, end));
      } catch (error) {
        const isUnavailable = error instanceof ConnectError && error.code === Code.Unavailable;
        if (!isUnavailable || performance.now() + pause >= end) throw error;
        await sleep(pause, undefined, { signal: bounds.signal });
      }
    }
    return ask(await this.#call(bounds, end));
  }

  /** The instant, on the process's own clock, at which an answer is too late. */
  #end(bounds: Bounds): number {
    return performance.now() + checkedDeadline(bounds.deadlineMs ?? this.#deadlineMs);
  }

  async #call(bounds: Bounds, end: number): Promise<CallOptions> {
    if (performance.now() >= end) throw new ConnectError("it is too late to ask", Code.DeadlineExceeded);
    const token = typeof this.#token === "function" ? await within(end, this.#token) : this.#token;
    return {
      timeoutMs: Math.max(1, Math.ceil(end - performance.now())),
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      ...(bounds.signal && { signal: bounds.signal }),
    };
  }
}

/** What `give` gives, or a failure once it is too late. */
async function within(end: number, give: () => string | Promise<string>): Promise<string> {
  const over = new AbortController();
  const late = sleep(Math.max(0, end - performance.now()), undefined, { signal: over.signal }).then(() => {
    throw new ConnectError("there was no token in time", Code.DeadlineExceeded);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([give(), late]);
  } finally {
    over.abort();
  }
}

function secured(tls: Tls | undefined): Record<string, unknown> {
  if ((tls?.certificate === undefined) !== (tls?.key === undefined)) {
    throw new RangeError("a certificate and its key go together: give both or neither");
  }
  return {
    ...(tls?.authorities && { ca: tls.authorities }),
    ...(tls?.certificate && { cert: tls.certificate, key: tls.key }),
    ...(tls?.serverName && { servername: tls.serverName }),
  };
}
