import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  Decision as Answer,
  type AuthorizeBatchResponse,
  type AuthorizeResponse,
  type AuthorizeResult,
} from "./contract/mandate/v1/authorization_pb.js";
import type { EntityRef as Named } from "./contract/mandate/v1/types_pb.js";
import { type Decision, type Reason, unanswered } from "./decision.js";
import { statusOf } from "./failures.js";
import type { EntityRef, Question } from "./question.js";

const INVALID = "invalid_answer";

/** Reads an answer. It allows only if it says so in full and contradicts itself nowhere; what cannot be read is none. */
export function decision(
  answer: AuthorizeResponse,
  question: Question,
  requestId: string,
  fulfils: ReadonlySet<string>,
): Decision {
  try {
    return read(answer, whyNot(answer, question, requestId, fulfils));
  } catch {
    return unanswered(INVALID, "The server's answer cannot be read.");
  }
}

/** Reads the answers of a batch, each by its own question. Of a wrong number none counts. */
export function decisions(
  answer: AuthorizeBatchResponse,
  questions: readonly Question[],
  requestIds: readonly string[],
  fulfils: ReadonlySet<string>,
): Decision[] {
  const count = answer.results.length;
  if (count !== questions.length) {
    return questions.map(() =>
      unanswered(INVALID, `The server gave ${count} answers to ${questions.length} questions.`),
    );
  }
  return questions.map((question, place) => result(answer.results[place], question, requestIds[place] ?? "", fulfils));
}

function result(
  given: AuthorizeResult | undefined,
  question: Question,
  requestId: string,
  fulfils: ReadonlySet<string>,
): Decision {
  switch (given?.outcome.case) {
    case "response":
      return decision(given.outcome.value, question, requestId, fulfils);
    case "status":
      return statusOf(given.outcome.value);
    default:
      return unanswered(INVALID, "The server left a question of the batch without an answer.");
  }
}

function read(answer: AuthorizeResponse, denied: Reason | undefined): Decision {
  return {
    allowed: denied === undefined,
    answered: denied?.code !== INVALID,
    ...(denied && { reason: denied }),
    decisionId: answer.decisionId,
    obligations: answer.obligations.map(({ id, type, properties }) => ({ id, type, properties: properties ?? {} })),
    advice: answer.advice.map(({ type, properties }) => ({ type, properties: properties ?? {} })),
    policies: answer.determiningPolicies.map((policy) => policy.policyId),
    chain: answer.chain.map((hop) => ({
      principal: named(hop.principal),
      role: hop.role,
      grant: named(hop.grant),
      allowed: hop.decision === Answer.ALLOW,
    })),
    ...(answer.principal && { principal: { type: answer.principal.type, id: answer.principal.id } }),
    revision: answer.revision,
    generation: answer.generation,
    ...(answer.validUntil && { validUntil: instant(answer.validUntil) }),
  };
}

function instant(timestamp: Parameters<typeof timestampDate>[0]): Date {
  const date = timestampDate(timestamp);
  if (Number.isNaN(date.getTime())) throw new RangeError("not an instant");
  return date;
}

/** Why an answer is not an Allow; nothing, if it is one. */
function whyNot(
  answer: AuthorizeResponse,
  question: Question,
  requestId: string,
  fulfils: ReadonlySet<string>,
): Reason | undefined {
  if (answer.decision === Answer.DENY) {
    return { code: answer.reason?.code || "denied", message: answer.reason?.message || "The server gives no reason." };
  }
  const wrong = contradiction(answer, question, requestId);
  if (wrong !== undefined) return { code: INVALID, message: wrong };
  const unfulfilled = answer.obligations.map((one) => one.type || "(none)").filter((type) => !fulfils.has(type));
  if (unfulfilled.length > 0) {
    const types = [...new Set(unfulfilled)].sort().join(", ");
    const message = `It is allowed only with obligations that this caller does not fulfil: ${types}.`;
    return { code: "obligation_not_fulfilled", message };
  }
  return undefined;
}

/** In what an answer that is no denial is not an Allow either. */
function contradiction(answer: AuthorizeResponse, question: Question, requestId: string): string | undefined {
  if (answer.decision !== Answer.ALLOW) return `The server answered neither allow nor deny (${answer.decision}).`;
  if (answer.requestId !== requestId) return "The server answered another request.";
  if (!(answer.decisionId && answer.generation && answer.revision)) {
    return "The server's Allow does not say which decision it is, and of what.";
  }
  if (answer.deniedBy || answer.reason) return "The server's Allow gives a reason for a denial.";
  if (answer.chain.some((hop) => hop.decision !== Answer.ALLOW)) {
    return "The server's Allow has a member of the chain that is not allowed.";
  }
  if (question.principal && answer.principal && !same(question.principal, answer.principal)) {
    return "The server's Allow is another principal's.";
  }
  return undefined;
}

function same(one: EntityRef, other: EntityRef): boolean {
  return one.type === other.type && one.id === other.id;
}

function named(name: Named | undefined): EntityRef | undefined {
  return name && { type: name.type, id: name.id };
}
