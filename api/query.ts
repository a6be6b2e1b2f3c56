import type { TSchema } from "@sinclair/typebox";
import { ApiError } from "./errors.ts";

/** A query as Node's parser gives it. */
export type RawQuery = Readonly<Record<string, string | readonly string[] | undefined>>;

const FALSE = new Set(["", "0", "no", "false", "none"]);
/** Values of one list. */
const VALUES_MAX = 4096;

/** Docker's `BoolValue`. */
export function flagOf(text: string): boolean {
  return !FALSE.has(text.trim().toLowerCase());
}

/**
 * Reads a query by its schema, as docker does: of a name given twice the first counts, an empty number is
 * none, names nobody knows are ignored.
 * @throws {ApiError} `INVALID` for what is no number.
 */
export function decodeQuery(schema: TSchema | undefined, raw: RawQuery): Record<string, unknown> {
  const decoded: Record<string, unknown> = {};
  const properties = (schema?.["properties"] ?? {}) as Record<string, TSchema>;
  for (const [name, { type }] of Object.entries(properties)) {
    const given = Object.hasOwn(raw, name) ? raw[name] : undefined;
    if (given === undefined) continue;
    const first = typeof given === "string" ? given : (given[0] ?? "");
    switch (type) {
      case "array":
        decoded[name] = (typeof given === "string" ? [given] : given).slice(0, VALUES_MAX);
        break;
      case "boolean":
        decoded[name] = flagOf(first);
        break;
      case "integer":
        if (first !== "") decoded[name] = integerOf(name, first);
        break;
      default:
        decoded[name] = first;
    }
  }
  return decoded;
}

function integerOf(name: string, text: string): number {
  const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new ApiError(
    "INVALID",
    `invalid ${name}: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}
