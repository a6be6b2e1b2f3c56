import { BuildError } from "../errors.ts";
import { suggestion } from "./flags.ts";

export type MountType = "bind" | "cache" | "tmpfs" | "secret" | "ssh";
export type Sharing = "shared" | "private" | "locked";

/** What `RUN --mount=` asks for; defaults are filled in where they are the same for everybody. */
export interface MountFlag {
  readonly type: MountType;
  /** A stage, a named context or an image; empty: the build context, or nothing for a cache. */
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly id: string;
  readonly sharing: Sharing;
  readonly required: boolean;
  readonly sizeBytes: number | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Of a secret: the variable that it becomes. */
  readonly env: string | undefined;
}

const TYPES: readonly MountType[] = ["bind", "cache", "tmpfs", "secret", "ssh"];
const SHARINGS: readonly Sharing[] = ["shared", "private", "locked"];
/** Other ways to write a key. */
const ALIASES: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
  rw: "readwrite",
};
const KEYS = [
  "type",
  "from",
  "source",
  "target",
  "readonly",
  "readwrite",
  "id",
  "sharing",
  "required",
  "size",
  "mode",
  "uid",
  "gid",
  "env",
];
/** Keys that only some types have. */
const ONLY: Readonly<Record<string, readonly MountType[]>> = {
  required: ["secret", "ssh"],
  size: ["tmpfs"],
  env: ["secret"],
};
const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1 << 10,
  m: 1 << 20,
  g: 1 << 30,
  t: 2 ** 40,
};

function invalid(message: string): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message);
}

/**
 * Reads the value of a `--mount`.
 * @param expand replaces the variables in a value
 * @throws {BuildError} DOCKERFILE_INVALID in BuildKit's words
 */
export function parseMountFlag(text: string, expand: (value: string) => string): MountFlag {
  const values = new Map<string, string>();
  let type: MountType = "bind";
  for (const field of csvFields(text)) {
    const equals = field.indexOf("=");
    const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = ALIASES[written] ?? written;
    if (equals < 0 && !["readonly", "readwrite", "required"].includes(key)) {
      throw invalid(`invalid field '${field}' must be a key=value pair`);
    }
    if (!KEYS.includes(key)) {
      const near = suggestion(key, KEYS);
      const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
      throw invalid(`unexpected key '${written}' in '${field}'${hint}`);
    }
    const value = equals < 0 ? "true" : expand(field.slice(equals + 1));
    if (key === "type")
      type = oneOf(TYPES, value, `unsupported mount type ${JSON.stringify(value)}`);
    const only = ONLY[key];
    if (only !== undefined && !only.includes(type)) {
      throw invalid(`unexpected key '${written}' for mount type '${type}'`);
    }
    values.set(key, value);
  }
  return validated(type, values);
}

function validated(type: MountType, values: ReadonlyMap<string, string>): MountFlag {
  const text = (key: string) => values.get(key) ?? "";
  const sharing = values.get("sharing");
  if (!["secret", "ssh", "cache"].includes(type)) {
    for (const key of ["mode", "uid", "gid"]) {
      if (values.has(key)) throw invalid(`${key} not allowed for "${type}" type mounts`);
    }
  }
  if (type === "secret") {
    if (values.has("from")) throw invalid("secret mount should not have a from");
    if (sharing !== undefined) throw invalid("secret mount should not define sharing");
    if (text("source") === "" && text("target") === "" && text("id") === "" && text("env") === "") {
      throw invalid("invalid secret mount. one of source, target required");
    }
    if (text("source") !== "" && text("id") !== "") {
      throw invalid("both source and id can't be set");
    }
  }
  if (sharing !== undefined && type !== "cache") {
    throw invalid(`invalid cache sharing set for ${type} mount`);
  }
  const writable = type === "cache" || type === "tmpfs";
  return {
    type,
    from: text("from"),
    source: text("source"),
    target: text("target"),
    readOnly: values.has("readwrite")
      ? !truth("readwrite", text("readwrite"))
      : values.has("readonly")
        ? truth("readonly", text("readonly"))
        : !writable,
    id: text("id"),
    sharing:
      sharing === undefined
        ? "shared"
        : oneOf(SHARINGS, sharing, `unsupported sharing value ${JSON.stringify(sharing)}`),
    required: values.has("required") && truth("required", text("required")),
    sizeBytes: values.has("size") ? size(text("size")) : undefined,
    mode: number(values, "mode", /^[0-7]{1,11}$/, 8),
    uid: number(values, "uid", /^[0-9]{1,10}$/, 10),
    gid: number(values, "gid", /^[0-9]{1,10}$/, 10),
    env: values.get("env"),
  };
}

function oneOf<T extends string>(known: readonly T[], value: string, message: string): T {
  const found = known.find((each) => each === value.toLowerCase());
  if (found !== undefined) return found;
  const near = suggestion(value, known);
  throw invalid(near === undefined ? message : `${message} (did you mean ${near}?)`);
}

function truth(key: string, value: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw invalid(`invalid value for ${key}: ${value}`);
}

function number(
  values: ReadonlyMap<string, string>,
  key: string,
  form: RegExp,
  base: number,
): number | undefined {
  const value = values.get(key);
  if (value === undefined) return undefined;
  const parsed = Number.parseInt(value, base);
  if (!form.test(value) || parsed > 0xffffffff) throw invalid(`invalid value ${value} for ${key}`);
  return parsed;
}

function size(value: string): number {
  const [, digits, unit = ""] = /^([0-9]+(?:\.[0-9]+)?) ?([bkmgt]?)(?:i?b)?$/i.exec(value) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) throw invalid(`invalid value for size: ${value}`);
  return bytes;
}

/** The fields of a line of comma separated values; quotes as RFC 4180 has them. */
export function csvFields(line: string): readonly string[] {
  const fields: string[] = [];
  let rest = line;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(rest);
    const plain = /^([^",]*)(,|$)/.exec(rest);
    const match = quoted ?? plain;
    if (match === null) throw invalid(`failed to parse csv mounts: bare " in ${line}`);
    const [all, field = "", separator] = match;
    fields.push(quoted === null ? field : field.replaceAll('""', '"'));
    if (separator === "") return fields;
    rest = rest.slice(all.length);
  }
}
