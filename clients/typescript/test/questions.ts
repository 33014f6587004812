/** Questions about the shipped world. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { action, agent, delegation, type EntityRef, type Question, tool, user } from "../src/index.js";
import { REPOSITORY } from "./service.js";

export const SESSION: JsonObject = {
  id: "s1",
  purpose: "look around",
  attended: true,
  untrusted: false,
  read_level: 0,
  calls: 1,
  spent_cents: 0,
};

type Stored = { uid: EntityRef; attrs: { digest?: string } };

function approved(server: string, name: string): string {
  const stored = JSON.parse(readFileSync(join(REPOSITORY, `entities/${server}.json`), "utf8")) as Stored[];
  return stored.find(({ uid }) => uid.id === `${server}/${name}`)?.attrs.digest ?? "";
}

export function lookAround(who = "ana"): Question {
  const resource = { type: "Mandate::ToolServer", id: "github" };
  return { principal: user(who), action: action("list_tools"), resource, context: { session: SESSION } };
}

function call(server: string, name: string, given: JsonObject): Question {
  const context = { session: SESSION, digest: approved(server, name), touches: [] };
  return {
    principal: user("ana"),
    action: action("call_tool"),
    resource: tool(server, name),
    context,
    arguments: given,
  };
}

export const fetched = (given: JsonObject): Question => call("fetch", "fetch", given);

export function written(path: string): Question {
  const asked = call("filesystem", "write_file", { path, content: "x" });
  return { ...asked, principal: agent("code-bot"), delegations: [delegation("ana-code-bot")] };
}
