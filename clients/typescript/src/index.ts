/** Asks Mandate, the policy decision point for AI agents. Whatever is not an allow is a deny. */
export { canonical, digestOf, Inexact } from "./canonical.js";
export { type Bounds, Client } from "./client.js";
export { type Advice, type Decision, Denied, denial, type Hop, type Obligation, type Reason } from "./decision.js";
export type { Options, Tls } from "./options.js";
export { NotReported, type Outcome, type Report } from "./outcome.js";
export { action, agent, delegation, type EntityRef, type Evidence, type Question, tool, user } from "./question.js";
export { type Found, type Search, SearchFailed } from "./search.js";
