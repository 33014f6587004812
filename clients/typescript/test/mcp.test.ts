/** An MCP server's tools behind the guard, with the SDK's own client and no model. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Client as McpClient } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { CallToolResult, Tool } from "@modelcontextprotocol/sdk/types.js";
import type { AuthorizeBatchRequest } from "../src/contract/mandate/v1/authorization_pb.js";
import { agent, Client, delegation, digestOf } from "../src/index.js";
import { type GuardOptions, protectTools } from "../src/mcp.js";
import { SESSION } from "./questions.js";
import { Service } from "./service.js";
import { allow, WrongServer } from "./wrong-server.js";

const POLICY = `
@id("read") permit (principal, action in Mandate::Action::"call_tool", resource)
when { resource in Mandate::Toolset::"read-only" && resource != Mandate::Tool::"filesystem/directory_tree" };
@id("write") permit (principal, action == Mandate::Action::"filesystem/write_file", resource);
@id("workspace") @reason("Write below /workspace only.")
forbid (principal is Mandate::Agent, action == Mandate::Action::"filesystem/write_file", resource)
unless { context.input.path like "/workspace/*" };
@id("list") permit (principal, action == Mandate::Action::"list_tools", resource);
`;

const GRANT = JSON.stringify([
  {
    uid: { type: "Mandate::Delegation", id: "files" },
    attrs: {
      from_user: { type: "Mandate::User", id: "ana" },
      to: { type: "Mandate::Agent", id: "code-bot" },
      actions: ["call_tool", "list_tools"].map((id) => ({ type: "Mandate::Action", id })),
      tools: [],
      toolsets: [{ type: "Mandate::Toolset", id: "filesystem" }],
      data: [],
      agents: [],
      servers: [{ type: "Mandate::ToolServer", id: "filesystem" }],
      not_before: "2026-09-01T00:00:00Z",
      expires: "2030-01-01T00:00:00Z",
      max_depth: 0,
      purpose: "tests",
    },
    parents: [],
  },
]);

const TOOLS: Tool[] = ["read_file", "directory_tree", "write_file", "get_file_info"].map((name) => ({
  name,
  description: `Do ${name}.`,
  inputSchema: { type: "object" as const, properties: { path: { type: "string" } } },
}));

/** The filesystem server's tools, as far as the tests use them, and what was done with them. */
class Files {
  readonly done: string[] = [];
  readonly asked: (string | undefined)[] = [];
  readonly client: Client;

  private constructor(url: string, deadlineMs: number) {
    this.client = new Client(url, { deadlineMs });
  }

  static async serve(
    url: string,
    work: (agent: McpClient, files: Files) => Promise<void>,
    changed: Partial<GuardOptions> = {},
    deadlineMs = 30_000,
  ): Promise<Files> {
    const files = new Files(url, deadlineMs);
    const server = new Server({ name: "files", version: "1" }, { capabilities: { tools: {} } });
    const protection = protectTools(server, { ...files.guard(), ...changed }, files.handlers());
    const [ours, theirs] = InMemoryTransport.createLinkedPair();
    const asker = new McpClient({ name: "tests", version: "1" });
    await Promise.all([server.connect(ours), asker.connect(theirs)]);
    await work(asker, files);
    await protection.flush();
    await asker.close();
    files.client.close();
    return files;
  }

  private guard(): GuardOptions {
    return {
      client: this.client,
      server: "filesystem",
      subject: () => ({ principal: agent("code-bot"), delegations: [delegation("files")] }),
      facts: ({ tool }) => {
        this.asked.push(tool);
        return { session: SESSION, touches: [] };
      },
    };
  }

  private handlers(): Parameters<typeof protectTools>[2] {
    return {
      // Two pages, so that a tool is found on whichever.
      listTools: ({ params }) =>
        params?.cursor === "2" ? { tools: TOOLS.slice(2) } : { tools: TOOLS.slice(0, 2), nextCursor: "2" },
      callTool: ({ params }) => {
        this.done.push(`${params.name} ${String(params.arguments?.["path"])}`);
        return { content: [{ type: "text", text: "done" }], isError: params.name === "get_file_info" };
      },
    };
  }
}

async function call(agent: McpClient, name: string, given: Record<string, unknown>): Promise<string> {
  const result = (await agent.callTool({ name, arguments: given })) as CallToolResult;
  const [told] = result.content;
  return `${result.isError === true ? "error" : "ok"} ${told?.type === "text" ? told.text : ""}`;
}

let service: Service;

before(async () => {
  service = await Service.start({ policy: POLICY, grants: GRANT });
});

after(() => service.stop());

test("an allowed call runs, and a denied one does not and says why", async () => {
  const files = await Files.serve(service.url, async (agent) => {
    assert.equal(await call(agent, "write_file", { path: "/workspace/a", content: "x" }), "ok done");
    const denied = await call(agent, "write_file", { path: "/etc/passwd", content: "x" });
    assert.match(denied, /^error Denied: Write below \/workspace only\. \[forbidden, decision /);
    assert.match(await call(agent, "write_file", { path: 5 }), /invalid_request/);
    assert.match(await call(agent, "directory_tree", { path: "/" }), /no_permit/);
    assert.match(await call(agent, "shell", {}), /unknown_resource/);
  });
  assert.deepEqual(files.done, ["write_file /workspace/a"]);
});

test("lists show what may be called", async () => {
  await Files.serve(service.url, async (agent) => {
    const first = await agent.listTools();
    const second = await agent.listTools({ cursor: first.nextCursor });
    const names = [first, second].map(({ tools }) => tools.map((tool) => tool.name));
    assert.deepEqual(names, [["read_file"], ["write_file", "get_file_info"]]);
  });
});

test("nobody to ask denies everything", async () => {
  const own = await Service.start({ policy: POLICY, grants: GRANT });
  await own.kill();
  const files = await Files.serve(
    own.url,
    async (agent) => {
      assert.match(await call(agent, "read_file", { path: "a" }), /unavailable|deadline_exceeded/);
      await assert.rejects(agent.listTools(), /unavailable|deadline_exceeded/);
    },
    {},
    1_000,
  );
  assert.deepEqual(files.done, []);
});

test("a wrong answer denies", async () => {
  const wrong = await WrongServer.start({ authorize: (request) => ({ ...allow(request), decision: 0 }) });
  const files = await Files.serve(wrong.url, async (agent) => {
    assert.match(await call(agent, "read_file", { path: "a" }), /invalid_answer/);
  });
  wrong.stop();
  assert.deepEqual(files.done, []);
});

test("a server that cannot search is asked about each tool, and a search that fails shows no list", async () => {
  const batch = ({ requests }: AuthorizeBatchRequest) => {
    const decided = requests.map((one) => ({
      ...allow(one),
      decision: one.resource?.id === "filesystem/read_file" ? 1 : 0,
    }));
    return { results: decided.map((value) => ({ outcome: { case: "response" as const, value } })) };
  };
  const without = await WrongServer.start({ authorize: allow, authorizeBatch: batch });
  await Files.serve(without.url, async (agent) => {
    assert.deepEqual(
      (await agent.listTools()).tools.map((tool) => tool.name),
      ["read_file"],
    );
  });
  without.stop();
  const failing = await WrongServer.start(
    { authorize: allow, authorizeBatch: batch },
    {
      searchResources: () => {
        throw new ConnectError("as told", Code.Internal);
      },
    },
  );
  await Files.serve(failing.url, async (agent) => {
    await assert.rejects(agent.listTools(), /as told \[internal\]/);
  });
  failing.stop();
});

test("what the host cannot say denies", async () => {
  const broken = () => {
    throw new Error("secret of the host");
  };
  for (const changed of [{ facts: broken }, { subject: broken }]) {
    const work = async (agent: McpClient) => {
      const told = await call(agent, "read_file", { path: "a" });
      assert.match(told, /not_asked/);
      assert.doesNotMatch(told, /secret of the host/);
      await assert.rejects(agent.listTools(), /not_asked/);
    };
    assert.deepEqual((await Files.serve(service.url, work, changed)).done, []);
  }
});

test("outcomes are reported with the arguments, and decisions with the definition's digest", async () => {
  const own = await Service.start({ policy: POLICY, grants: GRANT });
  await Files.serve(own.url, async (agent) => {
    await call(agent, "read_file", { path: "a" });
    await call(agent, "get_file_info", { path: "a" });
    await call(agent, "write_file", { path: "/etc/a", content: "x" });
  });
  const records = await own.records();
  const outcomes = records.filter((record) => record["kind"] === "outcome");
  assert.deepEqual(outcomes.map((record) => record["outcome"]).sort(), ["blocked", "executed", "failed"]);
  assert.ok(outcomes.every((record) => record["findings"] === undefined));
  const decided = JSON.stringify(records.find((record) => record["kind"] === "decision"));
  const [read] = TOOLS;
  assert.ok(read && decided.includes(digestOf(JSON.parse(JSON.stringify(read)))), decided);
});
