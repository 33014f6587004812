import type { JsonObject } from "@bufbuild/protobuf";
import type { EntityRef } from "./question.js";

/** Why it is denied. */
export type Reason = {
  /** One word: the server's (`forbidden`, …), or, where nobody answered, what failed (`unavailable`, …). */
  readonly code: string;
  /** For a person, and for the agent that asked. */
  readonly message: string;
};

/** What must be done by whoever acts on an Allow. */
export type Obligation = { readonly id: string; readonly type: string; readonly properties: JsonObject };

/** What may be done by whoever acts on an Allow. */
export type Advice = { readonly type: string; readonly properties: JsonObject };

/** One principal of a chain, root first. */
export type Hop = {
  readonly principal: EntityRef | undefined;
  readonly role: string;
  readonly grant: EntityRef | undefined;
  readonly allowed: boolean;
};

/** An answer, or why there is none. Like every object it is truthy: ask for `allowed`. */
export type Decision = {
  /** The server allowed it in so many words, and every obligation is one that the caller fulfils. */
  readonly allowed: boolean;
  /** The server decided. If not, nobody did, and `reason` says what went wrong. */
  readonly answered: boolean;
  /** Set on everything that is not allowed. */
  readonly reason?: Reason;
  readonly decisionId: string;
  /** What must be done; all are of types that the caller said it fulfils. */
  readonly obligations: readonly Obligation[];
  readonly advice: readonly Advice[];
  /** Ids of the policies that the answer rests on. */
  readonly policies: readonly string[];
  readonly chain: readonly Hop[];
  readonly principal?: EntityRef;
  readonly revision: string;
  readonly generation: string;
  /** Bounds how long the answer can hold. It licenses no reuse: advice of type `mandate.reuse` does. */
  readonly validUntil?: Date;
};

/** The decision of a question that nobody answered: not allowed. */
export function unanswered(code: string, message: string): Decision {
  const nothing = {
    decisionId: "",
    obligations: [],
    advice: [],
    policies: [],
    chain: [],
    revision: "",
    generation: "",
  };
  return { allowed: false, answered: false, reason: { code, message }, ...nothing };
}

/** Says in one line why it is denied, as it is told to a model or an MCP client; empty for an Allow. */
export function denial(decision: Decision): string {
  if (decision.allowed) return "";
  const { code, message } = decision.reason ?? { code: "denied", message: "No reason was given." };
  const where = decision.decisionId === "" ? "" : `, decision ${decision.decisionId}`;
  return `Denied: ${message} [${code}${where}]`;
}

/** What was asked is not allowed. */
export class Denied extends Error {
  override readonly name = "Denied";

  constructor(readonly decision: Decision) {
    super(denial(decision));
  }
}

/** Gives the decision if it allows, and throws `Denied` otherwise. */
export function required(decision: Decision): Decision {
  if (decision.allowed !== true) throw new Denied(decision);
  return decision;
}
