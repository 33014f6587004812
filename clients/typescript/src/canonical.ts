import { createHash } from "node:crypto";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import canonicalize from "canonicalize";

/** Why something cannot be said exactly, and is therefore not asked. */
export class Inexact extends Error {
  override readonly name = "Inexact";
}

/**
 * The canonical form (RFC 8785) of a JSON object.
 * @throws {Inexact} for what JSON cannot say exactly: numbers that are not finite, whole numbers beyond ±(2^53−1), lone
 * surrogates, and values that are not JSON's.
 */
export function canonical(object: JsonObject): string {
  exact(object);
  const text = canonicalize(object);
  if (text === undefined) throw new Inexact("not a JSON object");
  return text;
}

/** Digest of a JSON object as Mandate makes it: arguments of a call, or a tool's definition as `tools/list` tells it. */
export function digestOf(object: JsonObject): string {
  return `sha256:${createHash("sha256").update(canonical(object)).digest("hex")}`;
}

/** Holds a JSON object to what can be said exactly, and gives it back. */
export function exact(object: JsonObject): JsonObject {
  if (!isPlain(object)) throw new Inexact("not a JSON object");
  check(object);
  return object;
}

function check(value: JsonValue): void {
  if (value === null || typeof value === "boolean") return;
  if (typeof value === "string") checkText(value);
  else if (typeof value === "number") checkNumber(value);
  else if (Array.isArray(value)) for (const element of value) check(element);
  else if (isPlain(value)) checkMembers(value);
  else throw new Inexact(`not a JSON value: ${typeof value}`);
}

function checkMembers(object: JsonObject): void {
  for (const [name, member] of Object.entries(object)) {
    checkText(name);
    check(member);
  }
}

function checkNumber(value: number): void {
  if (!Number.isFinite(value)) throw new Inexact("a number of JSON is finite");
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new Inexact("a whole number beyond ±(2^53−1) is not exact in JSON");
  }
}

function checkText(text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw new Inexact("a text has a lone surrogate");
}

function isPlain(value: unknown): value is JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !("toJSON" in value);
}
