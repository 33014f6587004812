import { create, type JsonObject } from "@bufbuild/protobuf";
import * as asking from "./asking.js";
import { exact } from "./canonical.js";
import {
  Certainty,
  type SearchRequest,
  SearchRequestSchema,
  type SearchResponse,
} from "./contract/mandate/v1/search_pb.js";
import type { EntityRef, Question } from "./question.js";

const MOST_ON_A_PAGE = 1_000;

/** A search that has more pages is given up: it would not end. */
export const MOST_PAGES = 1_000;

/** A search for the resources that a question would be allowed for: the tools that an agent may call. It licenses nothing. */
export type Search = {
  /** Of the resource only the type counts; its id is empty. Without arguments, those of tools that have an action of their own are unknown. */
  readonly question: Question;
  /** Those to search among, each with members of the context that stand in place of the question's own; none: all that are stored. */
  readonly candidates?: readonly { readonly id: string; readonly context?: JsonObject }[];
  /** Members of the context that nobody knows yet, such as `touches`. */
  readonly unknown?: readonly string[];
};

/** Something that would be allowed: whatever is unknown, or possibly. */
export type Found = { readonly uid: EntityRef; readonly action: EntityRef; readonly isCertain: boolean };

/** Nothing is known of what would be allowed. `code` is a reason's. */
export class SearchFailed extends Error {
  override readonly name = "SearchFailed";

  constructor(
    readonly code: string,
    readonly reason: string,
  ) {
    super(`${code}: ${reason}`);
  }
}

/** The message for the page that the token names. */
export function page(search: Search, requestId: string, pageToken: string): SearchRequest {
  return create(SearchRequestSchema, {
    question: asking.request(search.question, requestId),
    candidates: (search.candidates ?? []).map(({ id, context = {} }) => ({ id, context: exact(context) })),
    unknown: [...(search.unknown ?? [])],
    pageSize: MOST_ON_A_PAGE,
    pageToken,
  });
}

/** Reads a page. What is neither certain nor possible is not found. */
export function found(answer: SearchResponse, requestId: string): Found[] {
  if (answer.requestId !== requestId || answer.decisionId === "") {
    throw new SearchFailed("invalid_answer", "The server answered another search, or none.");
  }
  return answer.found
    .filter(({ certainty }) => certainty === Certainty.CERTAIN || certainty === Certainty.POSSIBLE)
    .map(({ uid, action, certainty }) => ({
      uid: { type: uid?.type ?? "", id: uid?.id ?? "" },
      action: { type: action?.type ?? "", id: action?.id ?? "" },
      isCertain: certainty === Certainty.CERTAIN,
    }));
}
