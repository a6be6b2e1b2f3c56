import { ImageError, type ImageErrorCode } from "./errors.ts";
import { JSON_BYTES_MAX, JSON_DEPTH_MAX } from "./limits.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** A document from a stranger, and the error that says it is not what it should be. */
export class JsonReader {
  readonly #code: ImageErrorCode;

  constructor(code: ImageErrorCode) {
    this.#code = code;
  }

  /** The object that `bytes` are, within the limits of size and depth. */
  parse(bytes: Uint8Array): JsonObject {
    if (bytes.length > JSON_BYTES_MAX) throw this.error(`${bytes.length} bytes`);
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(bytes).toString("utf8"));
    } catch {
      throw this.error("it is not JSON");
    }
    if (deeperThan(value, JSON_DEPTH_MAX)) throw this.error("it is nested too deeply");
    return this.object(value, "the document");
  }

  object(value: unknown, what: string): JsonObject {
    if (isObject(value)) return value;
    throw this.error(`${what} is not an object`);
  }

  /** An optional object: null and a missing one are empty. */
  optionalObject(value: unknown, what: string): JsonObject {
    return value === undefined || value === null ? {} : this.object(value, what);
  }

  array(value: unknown, what: string, lengthMax: number): readonly unknown[] {
    if (!Array.isArray(value)) throw this.error(`${what} is not a list`);
    if (value.length > lengthMax) throw this.error(`${what} has ${value.length} elements`);
    return value;
  }

  string(value: unknown, what: string): string {
    if (typeof value === "string") return value;
    throw this.error(`${what} is not a string`);
  }

  optionalString(value: unknown, what: string): string | undefined {
    return value === undefined || value === null ? undefined : this.string(value, what);
  }

  strings(value: unknown, what: string, lengthMax: number): readonly string[] {
    return this.array(value, what, lengthMax).map((item) => this.string(item, what));
  }

  optionalStrings(value: unknown, what: string, lengthMax: number): readonly string[] | undefined {
    return value === undefined || value === null ? undefined : this.strings(value, what, lengthMax);
  }

  /** A number of bytes. */
  size(value: unknown, what: string): number {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.error(`${what} is not a size`);
  }

  error(detail: string): ImageError {
    return new ImageError(this.#code, detail);
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function deeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (depth === 0) return true;
  return Object.values(value).some((child) => deeperThan(child, depth - 1));
}
