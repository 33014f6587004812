/** The README's code compiles, and its first part runs. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { REPOSITORY, Service } from "./service.js";

const PACKAGE = join(REPOSITORY, "clients/typescript");

test("the README's code compiles and runs", async () => {
  const service = await Service.start();
  const folder = join(PACKAGE, "dist/readme");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "node_modules/@mandate"), { recursive: true });
  symlinkSync(PACKAGE, join(folder, "node_modules/@mandate/client"));
  const readme = readFileSync(join(PACKAGE, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, block]) => block ?? "");
  assert.equal(blocks.length, 2);
  blocks.forEach((block, place) => {
    writeFileSync(join(folder, `block-${place}.mts`), block.replace("http://127.0.0.1:4466", service.url));
  });
  const strict = ["--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "--skipLibCheck"];
  const files = blocks.map((_, place) => join(folder, `block-${place}.mts`));
  execFileSync(join(PACKAGE, "node_modules/.bin/tsc"), [...strict, "--ignoreConfig", ...files], {
    cwd: PACKAGE,
    stdio: "pipe",
  });
  execFileSync(process.execPath, [join(folder, "block-0.mjs")], { stdio: "pipe" });
  const executed = (await service.records()).filter((record) => record["outcome"] === "executed");
  assert.equal(executed.length, 1);
});
