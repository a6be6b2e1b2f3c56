import { ApiError } from "./errors.ts";

const NAMES_MAX = 64;
const VALUES_MAX = 4096;

/**
 * The filters of a list: names with the values of which one must fit. Clients send the values as a list or,
 * newer ones, as a set (`{"a": true}`).
 */
export class Filters {
  private readonly values: ReadonlyMap<string, readonly string[]>;

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.values = values;
  }

  /**
   * @param text of the query; undefined or empty: no filters.
   * @param accepted the names there are; others are an error.
   * @throws {ApiError} `INVALID_FILTER`, `INVALID` for what is no JSON.
   */
  static parse(text: string | undefined, accepted: readonly string[]): Filters {
    const values = new Map<string, readonly string[]>();
    if (text === undefined || text === "") return new Filters(values);
    const given = Object.entries(objectOf(text));
    if (given.length > NAMES_MAX) throw new ApiError("INVALID", "too many filters");
    for (const [name, value] of given) {
      if (!accepted.includes(name)) throw new ApiError("INVALID_FILTER", name);
      values.set(name, valuesOf(name, value));
    }
    return new Filters(values);
  }

  has(name: string): boolean {
    return (this.values.get(name)?.length ?? 0) > 0;
  }

  get(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  /** Whether there is no filter of that name, or one of its values passes `fits`. */
  some(name: string, fits: (value: string) => boolean): boolean {
    const values = this.get(name);
    return values.length === 0 || values.some(fits);
  }

  /** Whether every value of the filter passes, as labels have to. */
  every(name: string, fits: (value: string) => boolean): boolean {
    return this.get(name).every(fits);
  }

  /**
   * The one value of a filter that is true or false, or undefined.
   * @throws {ApiError} `INVALID_FILTER_VALUE`.
   */
  flag(name: string): boolean | undefined {
    if (!this.has(name)) return undefined;
    const values = this.get(name);
    const read = values.map((value) =>
      /^(1|true)$/i.test(value) ? true : /^(0|false)$/i.test(value) ? false : undefined,
    );
    const [first] = read;
    if (first === undefined || read.some((each) => each !== first)) {
      throw new ApiError("INVALID_FILTER_VALUE", name, values.join(" "));
    }
    return first;
  }

  /** Whether labels pass `label` (all of its values) and `label!` (none of them). */
  matchesLabels(labels: Readonly<Record<string, string>>): boolean {
    return (
      this.every("label", (wanted) => hasLabel(labels, wanted)) &&
      this.every("label!", (wanted) => !hasLabel(labels, wanted))
    );
  }
}

/** Whether `labels` has `key`, or `key=value`. */
function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  const key = equals < 0 ? wanted : wanted.slice(0, equals);
  if (!Object.hasOwn(labels, key)) return false;
  return equals < 0 || labels[key] === wanted.slice(equals + 1);
}

function objectOf(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError("INVALID", "invalid filter: invalid JSON");
  }
  if (value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value;
  throw new ApiError("INVALID", "invalid filter: not an object");
}

function valuesOf(name: string, value: unknown): readonly string[] {
  if (value === null) return [];
  const values = Array.isArray(value)
    ? value.map((each) => (typeof each === "boolean" ? String(each) : each))
    : typeof value === "object"
      ? Object.entries(value)
          .filter(([, on]) => on === true)
          .map(([key]) => key)
      : [value];
  if (values.length > VALUES_MAX || !values.every((each) => typeof each === "string")) {
    throw new ApiError("INVALID", `invalid filter '${name}': not a list of words`);
  }
  return values;
}
