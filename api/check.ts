import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ApiError } from "./errors.ts";

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
    throw new ApiError("INVALID_JSON", (error as Error).message);
  }
}

/**
 * Checks a body against its row's schema.
 * @throws {ApiError} `INVALID_JSON` with the first member that does not fit.
 */
export function checkBody(schema: TSchema | undefined, body: unknown): unknown {
  if (schema === undefined || Value.Check(schema, body)) return body;
  const first = Value.Errors(schema, body).First();
  throw new ApiError("INVALID_JSON", `${first?.path ?? ""}: ${first?.message ?? "does not fit"}`);
}
