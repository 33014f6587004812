import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Inexact } from "./canonical.js";
import { ErrorInfoSchema } from "./contract/google/rpc/error_info_pb.js";
import type { Status } from "./contract/google/rpc/status_pb.js";
import { type Decision, unanswered } from "./decision.js";

/** The decision that a failed call is: not allowed. */
export function refused(error: unknown): Decision {
  const { code, message } = told(error);
  return unanswered(code, message);
}

/** The decision that the status of a question in a batch is: not allowed. */
export function statusOf(status: Status): Decision {
  const info = status.details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find((one) => one !== undefined);
  const code = info?.reason.toLowerCase() || nameOf(status.code);
  return unanswered(code, status.message || `The server failed: ${nameOf(status.code)}.`);
}

/** What went wrong. Of errors that are not known only the kind is told: others might show a token. */
export function told(error: unknown): { code: string; message: string } {
  if (error instanceof ConnectError) {
    const message = error.rawMessage || `The server failed: ${nameOf(error.code)}.`;
    return { code: reasonOf(error) || nameOf(error.code), message };
  }
  const what = error instanceof Inexact ? `: ${error.message}` : "";
  const kind = error instanceof Error ? error.name : typeof error;
  return { code: "not_asked", message: `The question was not asked: ${kind}${what}` };
}

/** The one word in which the server says why, where it does. */
function reasonOf(error: ConnectError): string | undefined {
  for (const detail of error.details) {
    if ("type" in detail && detail.type === ErrorInfoSchema.typeName && detail.value instanceof Uint8Array) {
      return word(detail.value);
    }
  }
  return undefined;
}

function word(content: Uint8Array): string | undefined {
  try {
    return fromBinary(ErrorInfoSchema, content).reason.toLowerCase();
  } catch {
    return undefined;
  }
}

/** gRPC's name of a code, in lower case. */
function nameOf(code: number): string {
  const name = Code[code];
  return name === undefined ? "unknown" : name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
}
