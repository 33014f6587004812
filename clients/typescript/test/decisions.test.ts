/** What the real server answers. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import type { JsonObject } from "@bufbuild/protobuf";
import { Client, Denied, NotReported, type Question } from "../src/index.js";
import { fetched, lookAround, SESSION, written } from "./questions.js";
import { Service } from "./service.js";

const PATIENT = { deadlineMs: 30_000 };

let service: Service;
let client: Client;

before(async () => {
  service = await Service.start();
  client = new Client(service.url, PATIENT);
});

after(async () => {
  client.close();
  await service.stop();
});

test("an allow says which decision it is", async () => {
  const decision = await client.authorize(lookAround());
  assert.equal(decision.allowed, true, inspect(decision));
  assert.equal(decision.answered, true);
  assert.equal(decision.reason, undefined);
  assert.deepEqual(decision.policies, ["list-known-servers"]);
  assert.ok(decision.decisionId && decision.generation.startsWith("sha256:"));
  assert.equal((await client.require(lookAround())).allowed, true);
});

test("a deny has the policy's reason, and require throws it", async () => {
  const asked = fetched({ url: "http://169.254.169.254/latest/meta-data/" });
  const decision = await client.authorize(asked);
  assert.equal(decision.allowed, false);
  assert.equal(decision.answered, true);
  assert.equal(decision.reason?.code, "forbidden");
  await assert.rejects(client.require(asked), (error) => error instanceof Denied && /listed sites/.test(error.message));
});

test("arguments decide as they are typed", async () => {
  assert.equal((await client.authorize(fetched({ url: "https://docs.rs/serde", max_length: 5 }))).allowed, true);
  const wrong: JsonObject[] = [{ url: 5 }, { url: "https://docs.rs/", max_length: "many" }, {}];
  for (const given of wrong) {
    const decision = await client.authorize(fetched(given));
    assert.equal(decision.allowed, false);
    assert.equal(decision.answered, false);
    assert.equal(decision.reason?.code, "invalid_request");
  }
});

test("a chain is told hop by hop", async () => {
  const allowed = await client.authorize(written("/workspace/a"));
  assert.equal(allowed.allowed, true, inspect(allowed));
  assert.deepEqual(
    allowed.chain.map((hop) => [hop.principal?.id, hop.role, hop.allowed]),
    [
      ["ana", "delegator", true],
      ["code-bot", "actor", true],
    ],
  );
  assert.equal((await client.authorize(written("/etc/passwd"))).reason?.code, "forbidden");
  assert.equal(
    (await client.authorize({ ...written("/workspace/a"), delegations: [] })).reason?.code,
    "chain_required",
  );
});

test("a batch keeps the order, and one bad question is its own", async () => {
  const asked = [lookAround(), fetched({}), fetched({ url: "http://10.0.0.1/" }), lookAround("bea")];
  const decisions = await client.authorizeBatch(asked);
  assert.deepEqual(
    decisions.map((one) => [one.allowed, one.answered]),
    [
      [true, true],
      [false, false],
      [false, true],
      [true, true],
    ],
  );
  assert.equal(decisions[1]?.reason?.code, "invalid_request");
  assert.deepEqual(await client.authorizeBatch([]), []);
});

test("a batch that is too long or mixes tokens allows nothing", async () => {
  const long = await client.authorizeBatch(Array.from({ length: 101 }, () => lookAround()));
  assert.equal(long.length, 101);
  assert.ok(long.every((one) => !one.allowed));
  const mixed = await client.authorizeBatch([lookAround(), { ...lookAround(), credentials: "t" }]);
  assert.deepEqual(
    mixed.map((one) => one.reason?.code),
    ["not_asked", "not_asked"],
  );
});

test("a subject's token that is not believed denies, and is not shown", async () => {
  const { principal: _, ...asked } = lookAround();
  const decision = await client.authorize({ ...asked, credentials: "not.a.token" });
  assert.equal(decision.reason?.code, "subject_token_invalid");
  assert.ok(!inspect(decision).includes("not.a.token"));
});

test("freshness is asked for and held to", async () => {
  const { revision } = await client.authorize(lookAround());
  assert.equal((await client.authorize({ ...lookAround(), minimumRevision: revision })).allowed, true);
  assert.equal((await client.authorize({ ...lookAround(), minimumRevision: "AT0" })).allowed, false);
});

test("Cedar JSON says what JSON's numbers cannot", async () => {
  const session = JSON.stringify({ session: SESSION }).replace('"calls":1', '"calls":9007199254740993');
  assert.equal((await client.authorize({ ...lookAround(), context: session })).allowed, true);
});

test("what JSON cannot say exactly is not asked", async () => {
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  const wrong: unknown[] = [
    2 ** 53,
    Number.NaN,
    Infinity,
    undefined,
    5n,
    new Date(),
    "\ud800",
    cyclic,
    new Array(2),
    () => 1,
  ];
  for (const value of wrong) {
    const given = { url: "https://docs.rs/", max_length: value } as JsonObject;
    const context = { session: { ...SESSION, calls: value } } as JsonObject;
    const questions: Question[] = [fetched(given), { ...lookAround(), context }];
    for (const question of questions) {
      const decision = await client.authorize(question);
      assert.equal(decision.allowed, false);
      assert.equal(decision.reason?.code, "not_asked", String(value));
    }
  }
});

test("outcomes reach the log with the evidence", async () => {
  const own = await Service.start();
  const asker = new Client(own.url, PATIENT);
  const evidence = { sessionId: "s9", toolCallId: "call-7" };
  const decision = await asker.require({ ...fetched({ url: "https://docs.rs/a" }), evidence });
  await asker.reportOutcome({ decision, outcome: "executed", arguments: { url: "https://docs.rs/b" } });
  const unknown = { ...decision, decisionId: "x" };
  await assert.rejects(asker.reportOutcome({ decision: unknown, outcome: "blocked" }), NotReported);
  asker.close();
  const records = await own.records();
  const outcome = records.find((record) => record["kind"] === "outcome");
  assert.deepEqual([outcome?.["of"], outcome?.["findings"]], [decision.decisionId, ["input_mismatch"]]);
  const decided = records.find((record) => record["kind"] === "decision");
  assert.deepEqual(decided?.["evidence"], { session_id: "s9", tool_call_id: "call-7" });
});

test("obligations bind whoever has not said to fulfil them", async () => {
  const obligation = JSON.stringify({ id: "m", type: "redact", properties: { n: 2 } }).replaceAll('"', '\\"');
  const policy = `@id("masked") @obligation("${obligation}")
    permit (principal, action == Mandate::Action::"list_tools", resource);`;
  const own = await Service.start({ policy });
  const [strict, able] = [new Client(own.url, PATIENT), new Client(own.url, { ...PATIENT, fulfils: ["redact"] })];
  const denied = await strict.authorize(lookAround());
  const [deniedInBatch] = await strict.authorizeBatch([lookAround()]);
  const allowed = await able.authorize(lookAround());
  strict.close();
  able.close();
  await own.stop();
  for (const one of [denied, deniedInBatch]) {
    assert.equal(one?.allowed, false);
    assert.equal(one?.answered, true);
    assert.equal(one?.reason?.code, "obligation_not_fulfilled");
  }
  assert.equal(allowed.allowed, true);
  assert.deepEqual(allowed.obligations, [{ id: "m", type: "redact", properties: { n: 2 } }]);
});
