/** The real server, as a process of its own, on ports that the system picks. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { JsonObject } from "@bufbuild/protobuf";

export const REPOSITORY = resolve(import.meta.dirname, "../../../..");
const BINARY = process.env["MANDATE_BIN"] ?? join(REPOSITORY, "target/debug/mandate");

/** Folders instead of the shipped ones, or files besides theirs. */
export type World = {
  readonly policy?: string;
  readonly schema?: string;
  readonly grants?: string;
  readonly pep?: string;
  readonly more?: string;
  readonly port?: number;
};

export class Service {
  private constructor(
    readonly folder: string,
    private readonly process: ChildProcess,
    readonly data: string,
  ) {}

  get url(): string {
    return `http://${this.data}`;
  }

  get port(): number {
    return Number(this.data.split(":")[1]);
  }

  static async start(world: World = {}): Promise<Service> {
    const folder = mkdtempSync(join(tmpdir(), "mandate-client-"));
    writeFileSync(join(folder, "mandate.toml"), configuration(folder, world));
    const told = openSync(join(folder, "stderr"), "w");
    const options = { cwd: folder, stdio: ["ignore", "ignore", told] as ["ignore", "ignore", number] };
    const started = spawn(BINARY, ["serve", "--config", join(folder, "mandate.toml")], options);
    closeSync(told);
    return new Service(folder, started, await address(folder, started));
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Stops, and reads the decision log. */
  async records(): Promise<JsonObject[]> {
    await this.end("SIGTERM");
    const read = ["log", "query", "--dir", join(this.folder, "data/log"), "--format", "json"];
    const lines = execFileSync(BINARY, read, { encoding: "utf8" }).trim().split("\n");
    rmSync(this.folder, { recursive: true, force: true });
    return lines.map((line) => JSON.parse(line) as JsonObject);
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill(signal);
    await once(this.process, "exit");
  }
}

function configuration(folder: string, { policy, schema, grants, pep, more = "", port = 0 }: World): string {
  const source = (name: string, file: string, text: string | undefined, isAlone: boolean): string => {
    if (text === undefined) return join(REPOSITORY, name);
    if (isAlone) mkdirSync(join(folder, name));
    else cpSync(join(REPOSITORY, name), join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, file), text);
    return join(folder, name);
  };
  const listeners = ["http", "ops", "control"].map((name) => `${name} = "127.0.0.1:0"\n`).join("");
  return `[sources]
policies = "${source("policies", "only.cedar", policy, true)}"
schemas = "${source("schemas", "more.cedarschema", schema, false)}"
entities = "${source("entities", "more.json", grants, false)}"
${pep === undefined ? "" : `pep = "${source("pep", "only.cedar", pep, true)}"`}
[data]
directory = "${folder}/data"
[listen]
data = "127.0.0.1:${port}"
${listeners}[shutdown]
grace = "0s"
drain = "1s"
${more}`;
}

/** Waits until the server says where it listens. */
async function address(folder: string, started: ChildProcess): Promise<string> {
  for (let waited = 0; waited < 120_000; waited += 50) {
    const told = readFileSync(join(folder, "stderr"), "utf8");
    const found = /^gRPC +(\S+) {2}/m.exec(told)?.[1];
    if (found !== undefined && /^control /m.test(told)) return found;
    if (started.exitCode !== null) throw new Error(`the server did not start: ${told}`);
    await sleep(50);
  }
  started.kill("SIGKILL");
  throw new Error("the server did not start within two minutes");
}
