/** What would be allowed, as the real server finds it; and nothing where the search fails. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  Certainty,
  FoundSchema,
  type SearchRequest,
  SearchResponseSchema,
} from "../src/contract/mandate/v1/search_pb.js";
import { action, Client, type Search, SearchFailed, user } from "../src/index.js";
import { fetched, SESSION } from "./questions.js";
import { Service } from "./service.js";
import { WrongServer } from "./wrong-server.js";

const digest = (fetched({}).context as { digest: string }).digest;

const TOOLS: Search = {
  question: {
    principal: user("ana"),
    action: action("call_tool"),
    resource: { type: "Mandate::Tool", id: "" },
    context: { session: SESSION },
  },
  candidates: [
    { id: "fetch/fetch", context: { digest } },
    { id: "git/git_status", context: { digest: "sha256:changed" } },
  ],
  unknown: ["touches"],
};

test("tools are found as far as some arguments may be allowed", async () => {
  const service = await Service.start();
  const client = new Client(service.url, { deadlineMs: 30_000 });
  const found = await client.searchResources(TOOLS);
  const wrong = { ...TOOLS, unknown: ["session"] };
  await assert.rejects(client.searchResources(wrong), SearchFailed);
  client.close();
  await service.kill();
  assert.deepEqual(found, [
    {
      uid: { type: "Mandate::Tool", id: "fetch/fetch" },
      action: { type: "Mandate::Action", id: "fetch/fetch" },
      isCertain: false,
    },
  ]);
  const late = new Client(service.url);
  await assert.rejects(late.searchResources(TOOLS), SearchFailed);
  late.close();
});

type Page = { names: string[]; token?: string; certainty?: Certainty; requestId?: string; decisionId?: string };

async function answered(page: (request: SearchRequest) => Page, deadlineMs = 30_000, pauseMs = 0): Promise<string[]> {
  const server = await WrongServer.start(
    {},
    {
      searchResources: async (request) => {
        await sleep(pauseMs);
        const { names, token = "", certainty = Certainty.POSSIBLE, ...changed } = page(request);
        const found = names.map((id) => create(FoundSchema, { uid: { type: "Mandate::Tool", id }, certainty }));
        const requestId = request.question?.requestId ?? "";
        return create(SearchResponseSchema, { requestId, decisionId: "d", found, nextPageToken: token, ...changed });
      },
    },
  );
  const client = new Client(server.url, { deadlineMs });
  try {
    return (await client.searchResources(TOOLS)).map(({ uid }) => uid.id);
  } finally {
    client.close();
    server.stop();
  }
}

test("pages are turned to the end", async () => {
  const pages: Record<string, Page> = {
    "": { names: ["a"], token: "2" },
    "2": { names: [], token: "3" },
    "3": { names: ["b"] },
  };
  assert.deepEqual(await answered(({ pageToken }) => pages[pageToken] ?? { names: [] }), ["a", "b"]);
});

test("what is neither certain nor possible is not found", async () => {
  for (const certainty of [Certainty.UNSPECIFIED, 99 as Certainty]) {
    assert.deepEqual(await answered(() => ({ names: ["a"], certainty })), []);
  }
});

test("an answer to another search, or without end, fails", async () => {
  await assert.rejects(
    answered(() => ({ names: ["a"], requestId: "another" })),
    SearchFailed,
  );
  await assert.rejects(
    answered(() => ({ names: ["a"], decisionId: "" })),
    SearchFailed,
  );
  await assert.rejects(
    answered(() => ({ names: ["a"], token: "again" })),
    SearchFailed,
  );
  await assert.rejects(
    answered(() => ({ names: ["a"], token: "again" }), 50),
    /deadline_exceeded/,
  );
});
