import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ApiError } from "./errors.ts";
import { jsonFault } from "./json-fault.ts";

/**
 * Reads a JSON body. Nothing at all is `{}`: several clients leave a body out that has only defaults.
 * @throws {ApiError} `INVALID_JSON`.
 */
export function parseJson(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  if (text.trim() === "") return {};
  // An own member of that name would become a prototype somewhere further on.
  if (text.includes('"__proto__"')) throw new ApiError("INVALID_JSON", "a forbidden name");
  try {
    return JSON.parse(text) ?? {};
  } catch (error) {
    throw jsonFault(text) ?? new ApiError("INVALID_JSON", (error as Error).message);
  }
}

/**
 * The value with its members named as the schema names them. Docker reads JSON with Go, to which `detachKeys` is
 * `DetachKeys`; clients rely on it. A member written as the schema has it wins over another spelling.
 */
function withKnownNames(schema: TSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const elements = variantsOf(schema).find((each) => each["type"] === "array")?.["items"];
    return elements === undefined
      ? value
      : value.map((each) => withKnownNames(elements as TSchema, each));
  }
  if (typeof value !== "object" || value === null) return value;
  const variant = variantsOf(schema).find((each) => each["type"] === "object");
  const ofKeys = Object.values(variant?.["patternProperties"] ?? {})[0];
  const properties: Readonly<Record<string, TSchema>> = variant?.["properties"] ?? {};
  if (ofKeys === undefined && variant?.["properties"] === undefined) return value;
  const names = new Map(Object.keys(properties).map((name) => [name.toLowerCase(), name]));
  const known: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const name = Object.hasOwn(properties, key) ? key : (names.get(key.toLowerCase()) ?? key);
    if (name !== key && Object.hasOwn(value, name)) continue;
    const inner = ofKeys ?? (Object.hasOwn(properties, name) ? properties[name] : undefined);
    known[name] = inner === undefined ? member : withKnownNames(inner as TSchema, member);
  }
  return known;
}

/** The schemas a value may fit: those of a union, or the one itself. */
function variantsOf(schema: TSchema): readonly TSchema[] {
  return (schema["anyOf"] as readonly TSchema[] | undefined)?.flatMap(variantsOf) ?? [schema];
}

/**
 * Checks a body against its row's schema.
 * @throws {ApiError} `INVALID_JSON` with the first member that does not fit.
 */
export function checkBody(schema: TSchema | undefined, sent: unknown): unknown {
  if (schema === undefined) return sent;
  const body = withKnownNames(schema, sent);
  if (Value.Check(schema, body)) return body;
  const first = Value.Errors(schema, body).First();
  throw new ApiError("INVALID_JSON", `${first?.path ?? ""}: ${first?.message ?? "does not fit"}`);
}
