import type { JsonObject } from "@bufbuild/protobuf";
import type { Decision } from "./decision.js";

/** What was done. `overridden`: a person or system went against the decision. */
export type Outcome = "executed" | "failed" | "blocked" | "overridden";

/** An outcome of a decision, and digests of what went in and came out. */
export type Report = {
  readonly decision: Decision;
  readonly outcome: Outcome;
  /** The arguments that it was done with: others than were decided on are found. */
  readonly arguments?: JsonObject;
  readonly resultDigest?: string;
  readonly detail?: string;
};

/** An outcome did not reach the log. */
export class NotReported extends Error {
  override readonly name = "NotReported";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${code}: ${message}`);
  }
}
