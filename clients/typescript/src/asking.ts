import { create } from "@bufbuild/protobuf";
import { canonical, exact, Inexact } from "./canonical.js";
import {
  type AuthorizeBatchRequest,
  AuthorizeBatchRequestSchema,
  type AuthorizeRequest,
  AuthorizeRequestSchema,
  Mode,
} from "./contract/mandate/v1/authorization_pb.js";
import { type Consistency, ConsistencySchema } from "./contract/mandate/v1/types_pb.js";
import type { Question } from "./question.js";

/** The message of a call of its own. */
export function request(question: Question, requestId: string): AuthorizeRequest {
  const message = item(question, requestId);
  message.credentials = question.credentials ?? "";
  message.consistency = consistency(question);
  return message;
}

/** One message of many questions. Credentials and consistency are the batch's, so they must be the same for all. */
export function batch(questions: readonly Question[], requestIds: readonly string[]): AuthorizeBatchRequest {
  const terms = new Set(
    questions.map((one) => JSON.stringify([one.credentials, one.minimumRevision, one.bypassCache])),
  );
  if (terms.size > 1) {
    throw new Inexact("credentials, minimumRevision and bypassCache must be the same for all of a batch");
  }
  const [first] = questions;
  const defaults = create(AuthorizeRequestSchema, {
    credentials: first?.credentials ?? "",
    ...(first && { consistency: consistency(first) }),
  });
  return create(AuthorizeBatchRequestSchema, {
    defaults,
    requests: questions.map((one, place) => item(one, requestIds[place] ?? "")),
  });
}

function item(question: Question, requestId: string): AuthorizeRequest {
  const message = create(AuthorizeRequestSchema, {
    requestId,
    action: question.action,
    resource: question.resource,
    delegations: [...(question.delegations ?? [])],
    mode: question.observe === true ? Mode.OBSERVE : Mode.ENFORCE,
    ...(question.principal && { principal: question.principal }),
    ...(question.evidence && { evidence: question.evidence }),
  });
  message.contextForm =
    typeof question.context === "string"
      ? { case: "contextJson", value: question.context }
      : { case: "context", value: exact(question.context ?? {}) };
  if (question.arguments !== undefined) {
    // As text: the arguments that run are then those that are decided on, to the last digit.
    message.argumentsForm = { case: "argumentsJson", value: canonical(question.arguments) };
  }
  return message;
}

function consistency(question: Question): Consistency {
  const { minimumRevision = "", bypassCache = false } = question;
  return create(ConsistencySchema, { minimumRevision, bypassCache });
}
