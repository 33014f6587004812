/** TLS both ways: the server is who it says it is, and so is the caller. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { Client, type Tls } from "../src/index.js";
import { lookAround } from "./questions.js";
import { REPOSITORY, Service } from "./service.js";

type Made = Record<"authority" | "server" | "server_key" | "workload" | "workload_key", string>;

/** Certificates of an authority, made by the Python client's tests. */
function make(): Made {
  const python = process.env["CLIENTS_PYTHON"] ?? join(REPOSITORY, "target/tools/clients/bin/python");
  const script = join(REPOSITORY, "clients/python/tests/authority.py");
  return JSON.parse(
    execFileSync(python, [script, "example.org", "pdp.example.org", "gateways/mcp"], { encoding: "utf8" }),
  );
}

const made = make();
const folder = mkdtempSync(join(tmpdir(), "mandate-client-tls-"));
let service: Service;

before(async () => {
  for (const [name, pem] of Object.entries(made)) writeFileSync(join(folder, name), pem);
  const more = `[tls]
certificate = "${folder}/server"
key = "${folder}/server_key"
[[callers.spiffe]]
trust_domain = "example.org"
bundle = "${folder}/authority"
`;
  service = await Service.start({ more, pep: '@id("anybody") permit (principal, action, resource);' });
});

after(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

async function asked(tls: Tls) {
  const client = new Client(`https://${service.data}`, { tls, deadlineMs: 10_000 });
  const decision = await client.authorize(lookAround());
  assert.ok(!inspect(client, { depth: 9, showHidden: true }).includes("PRIVATE KEY"));
  client.close();
  return decision;
}

const known = { authorities: made.authority, serverName: "pdp.example.org" };
const caller = { certificate: made.workload, key: made.workload_key };

test("both sides show certificates", async () => {
  const decision = await asked({ ...known, ...caller });
  assert.equal(decision.allowed, true, inspect(decision));
});

test("a caller that shows nothing is denied", async () => {
  assert.equal((await asked(known)).reason?.code, "caller_unauthenticated");
});

test("a server that is not vouched for, or has another name, is not believed", async () => {
  const wrong = [
    { ...known, authorities: make().authority },
    { ...known, serverName: "other.example.org" },
  ];
  for (const tls of wrong) {
    const decision = await asked({ ...tls, ...caller });
    assert.equal(decision.allowed, false);
    assert.equal(decision.answered, false);
  }
});
