/** Nothing that goes wrong is an Allow: a server that is late, gone, wrong or somebody else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  Decision as Answer,
  type AuthorizeResponse,
  AuthorizeResponseSchema,
  AuthorizeResultSchema,
  DeniedBySchema,
  HopSchema,
  ObligationSchema,
  ReasonSchema,
} from "../src/contract/mandate/v1/authorization_pb.js";
import { EntityRefSchema } from "../src/contract/mandate/v1/types_pb.js";
import { Client, NotReported, type Options } from "../src/index.js";
import { lookAround } from "./questions.js";
import { Service } from "./service.js";
import { allow, WrongServer } from "./wrong-server.js";

const PATIENT = { deadlineMs: 30_000 };

const WRONG: Record<string, (answer: AuthorizeResponse) => unknown> = {
  unspecified: (answer) => Object.assign(answer, { decision: Answer.UNSPECIFIED }),
  "a value of later": (answer) => Object.assign(answer, { decision: 99 }),
  empty: (answer) => Object.assign(answer, create(AuthorizeResponseSchema)),
  "nothing but the word": (answer) =>
    Object.assign(answer, create(AuthorizeResponseSchema), { decision: Answer.ALLOW }),
  "no id": (answer) => Object.assign(answer, { decisionId: "" }),
  "no generation": (answer) => Object.assign(answer, { generation: "" }),
  "no revision": (answer) => Object.assign(answer, { revision: "" }),
  "another request": (answer) => Object.assign(answer, { requestId: "another" }),
  "a reason to deny": (answer) => Object.assign(answer, { reason: create(ReasonSchema, { code: "forbidden" }) }),
  "denied by": (answer) => Object.assign(answer, { deniedBy: create(DeniedBySchema, { rule: "policy" }) }),
  "a denied hop": (answer) => answer.chain.push(create(HopSchema, { decision: Answer.DENY })),
  "a hop of neither": (answer) => answer.chain.push(create(HopSchema)),
  "another principal": (answer) =>
    Object.assign(answer, { principal: create(EntityRefSchema, { type: "Mandate::User", id: "bea" }) }),
  "an obligation": (answer) => answer.obligations.push(create(ObligationSchema, { id: "o", type: "redact" })),
  "an obligation without type": (answer) => answer.obligations.push(create(ObligationSchema, { id: "o" })),
  "an instant that is none": (answer) =>
    Object.assign(answer, { validUntil: { $typeName: "google.protobuf.Timestamp", seconds: 2n ** 60n, nanos: 0 } }),
};

async function answered(change: (answer: AuthorizeResponse) => unknown) {
  const server = await WrongServer.start({
    authorize: (request) => {
      const answer = allow(request);
      change(answer);
      return answer;
    },
    authorizeBatch: ({ requests }) => {
      const results = requests.map((request) => {
        const answer = allow(request);
        change(answer);
        return create(AuthorizeResultSchema, { outcome: { case: "response", value: answer } });
      });
      return { results };
    },
  });
  const client = new Client(server.url, PATIENT);
  const decisions = [await client.authorize(lookAround()), ...(await client.authorizeBatch([lookAround()]))];
  client.close();
  server.stop();
  return decisions;
}

for (const [fault, change] of Object.entries(WRONG)) {
  test(`an answer that is no allow in full is none: ${fault}`, async () => {
    for (const decision of await answered(change)) {
      assert.equal(decision.allowed, false);
      assert.match(decision.reason?.code ?? "", /^(invalid_answer|obligation_not_fulfilled)$/);
    }
  });
}

test("the answer that those are made of is an allow", async () => {
  for (const decision of await answered(() => undefined)) assert.equal(decision.allowed, true, inspect(decision));
});

test("a batch that is not answered one by one allows nothing", async () => {
  const faults: ((results: unknown[]) => unknown[])[] = [
    () => [],
    (results) => results.slice(1),
    (results) => [...results, results[0]],
    (results) => results.reverse(),
    () => [create(AuthorizeResultSchema), create(AuthorizeResultSchema)],
  ];
  for (const fault of faults) {
    const server = await WrongServer.start({
      authorizeBatch: ({ requests }) => {
        const results = requests.map((one) =>
          create(AuthorizeResultSchema, { outcome: { case: "response", value: allow(one) } }),
        );
        return { results: fault(results) as typeof results };
      },
    });
    const client = new Client(server.url, PATIENT);
    const decisions = await client.authorizeBatch([lookAround(), lookAround("bea")]);
    client.close();
    server.stop();
    assert.deepEqual(
      decisions.map((one) => [one.allowed, one.reason?.code]),
      [
        [false, "invalid_answer"],
        [false, "invalid_answer"],
      ],
    );
  }
});

test("a late answer is a deny at the deadline", async () => {
  const over = new AbortController();
  const server = await WrongServer.start({
    authorize: async (request) => {
      await sleep(60_000, undefined, { signal: over.signal }).catch(() => undefined);
      return allow(request);
    },
  });
  const never = () => new Promise<string>(() => undefined);
  const ways: [Options, { deadlineMs?: number }][] = [
    [{ deadlineMs: 200 }, {}],
    [{}, { deadlineMs: 200 }],
    [{ deadlineMs: 200, token: never }, {}],
    [{}, {}],
  ];
  for (const [options, bounds] of ways) {
    const client = new Client(server.url, options);
    const decision = await client.authorize(lookAround(), bounds);
    client.close();
    assert.equal(decision.allowed, false);
    assert.equal(decision.reason?.code, "deadline_exceeded");
  }
  over.abort();
  server.stop();
});

test("there is no call without a deadline", async () => {
  const server = await WrongServer.start({ authorize: allow });
  const client = new Client(server.url, PATIENT);
  for (const deadlineMs of [0, -1, Number.NaN, Infinity, 60_001]) {
    assert.equal((await client.authorize(lookAround(), { deadlineMs })).reason?.code, "not_asked");
    assert.throws(() => new Client(server.url, { deadlineMs }), RangeError);
  }
  client.close();
  server.stop();
});

test("every status is a deny, and only unavailable is asked again", async () => {
  const codes = Object.values(Code).filter((code): code is Code => typeof code === "number");
  assert.equal(codes.length, 16);
  for (const code of codes) {
    let asked = 0;
    const server = await WrongServer.start({
      authorize: () => {
        asked += 1;
        throw new ConnectError("as told", code);
      },
    });
    const client = new Client(server.url, PATIENT);
    const decision = await client.authorize(lookAround());
    client.close();
    server.stop();
    assert.equal(decision.allowed, false);
    assert.equal(decision.answered, false);
    assert.equal(decision.reason?.code.replaceAll("_", ""), Code[code]?.toLowerCase());
    assert.equal(asked, code === Code.Unavailable ? 5 : 1, Code[code]);
  }
});

test("a server that is killed denies, and one that is back decides", async () => {
  const served = await Service.start();
  const client = new Client(served.url, { deadlineMs: 10_000 });
  const allowed = await client.require(lookAround());
  await served.kill();
  const gone = await client.authorize(lookAround());
  assert.match(gone.reason?.code ?? "", /^(unavailable|deadline_exceeded|aborted|cancell?ed|internal|unknown)$/);
  assert.ok((await client.authorizeBatch([lookAround()])).every((one) => !one.allowed));
  await assert.rejects(client.reportOutcome({ decision: allowed, outcome: "executed" }), NotReported);
  const again = await Service.start({ port: served.port });
  for (let waited = 0; waited < 60_000 && !(await client.authorize(lookAround())).allowed; waited += 100)
    await sleep(100);
  assert.equal((await client.authorize(lookAround())).allowed, true);
  client.close();
  await again.stop();
});

test("another service on the port denies", async () => {
  const server = await WrongServer.start({});
  const client = new Client(server.url, PATIENT);
  assert.equal((await client.authorize(lookAround())).reason?.code, "unimplemented");
  client.close();
  server.stop();
});

test("a caller's token is shown with each call, and one that cannot be had denies", async () => {
  const shown: (string | null)[] = [];
  const server = await WrongServer.start({
    authorize: (request, { requestHeader }) => {
      shown.push(requestHeader.get("authorization"));
      return allow(request);
    },
  });
  const broken = () => {
    throw new Error("secret of the host");
  };
  for (const token of ["t1", () => "t2", async () => "t3", broken]) {
    const client = new Client(server.url, { ...PATIENT, token });
    const decision = await client.authorize(lookAround());
    client.close();
    assert.equal(decision.allowed, token !== broken);
    assert.ok(!inspect([decision, client], { depth: 9 }).includes("secret of the host"));
  }
  const client = new Client(server.url, { token: "s3cr3t" });
  assert.ok(!inspect(client, { depth: 9, showHidden: true }).includes("s3cr3t"));
  client.close();
  server.stop();
  assert.deepEqual(shown, ["Bearer t1", "Bearer t2", "Bearer t3"]);
});

test("an address is secured, or of this host", () => {
  for (const address of ["http://127.0.0.1:1", "http://localhost:2", "http://[::1]:3", "https://pdp.example:4"]) {
    new Client(address).close();
  }
  const refused = [
    "http://pdp.example:4466",
    "http://10.0.0.1:1",
    "http://0.0.0.0:1",
    "http://127.0.0.1.evil.example:1",
    "127.0.0.1:1",
    "ftp://127.0.0.1",
    "",
    "http://127.0.0.1/path",
    "http://me:pw@127.0.0.1",
  ];
  for (const address of refused) assert.throws(() => new Client(address), RangeError, address);
  new Client("http://10.0.0.1:1", { insecurePlaintext: true }).close();
  assert.throws(() => new Client("http://127.0.0.1:1", { tls: {} }), RangeError);
  assert.throws(() => new Client("https://127.0.0.1:1", { tls: { certificate: "c" } }), RangeError);
});
