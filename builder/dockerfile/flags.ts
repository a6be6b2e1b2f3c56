import { BuildError } from "../errors.ts";

/** What a flag takes. */
export type FlagKind = "string" | "boolean" | "strings";

/** Flags that an instruction has, by name. */
export type FlagTable = Readonly<Record<string, FlagKind>>;

/** The flags of an instruction, read by a table. */
export type Flags<T extends FlagTable> = {
  readonly [K in keyof T]: T[K] extends "boolean"
    ? boolean | undefined
    : T[K] extends "strings"
      ? readonly string[]
      : string | undefined;
};

const BLANK = /\s/;

/**
 * The `--flags` that `text` begins with. Quotes around them, or in them, and backslashes are taken away; `--` alone
 * ends them.
 */
export function takeFlags(text: string): { flags: readonly string[]; rest: string } {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && BLANK.test(text.charAt(at))) at++;
    if (!text.startsWith("--", at)) return { flags, rest: text.slice(at).trim() };
    const [word, end] = takeWord(text, at);
    at = end;
    if (word === "--") return { flags, rest: text.slice(at).trim() };
    flags.push(word);
  }
}

function takeWord(text: string, start: number): [word: string, end: number] {
  let word = "";
  let quote = "";
  let at = start;
  for (; at < text.length; at++) {
    let character = text.charAt(at);
    if (quote === "" && BLANK.test(character)) break;
    if (quote === "" ? character === "'" || character === '"' : character === quote) {
      quote = quote === "" ? character : "";
      continue;
    }
    if (character === "\\") {
      if (at + 1 === text.length) continue;
      character = text.charAt(++at);
    }
    word += character;
  }
  return [word, at];
}

/**
 * Reads flags by a table.
 * @throws {BuildError} DOCKERFILE_INVALID in BuildKit's words
 */
export function parseFlags<T extends FlagTable>(flags: readonly string[], table: T): Flags<T> {
  const values: Record<string, string | boolean | string[] | undefined> = {};
  for (const [name, kind] of Object.entries(table)) {
    values[name] = kind === "strings" ? [] : undefined;
  }
  for (const flag of flags) {
    const [, name = "", equals, value = ""] = /^--([^=]*)(=?)(.*)$/s.exec(flag) ?? [];
    const kind = Object.hasOwn(table, name) ? table[name] : undefined;
    if (kind === undefined) throw invalid(unknownFlag(name, Object.keys(table)));
    const known = values[name];
    if (known !== undefined && !Array.isArray(known)) {
      throw invalid(`Duplicate flag specified: ${name}`);
    }
    if (equals === "" ? kind !== "boolean" : kind === "boolean" && value === "") {
      throw invalid(`Missing a value on flag: ${name}`);
    }
    if (Array.isArray(known)) known.push(value);
    else if (kind === "string") values[name] = value;
    else {
      const truth = value.toLowerCase();
      if (truth !== "" && truth !== "true" && truth !== "false") {
        throw invalid(`Expecting boolean value for flag ${name}, not: ${value}`);
      }
      values[name] = truth !== "false";
    }
  }
  return values as Flags<T>;
}

function invalid(message: string): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message);
}

function unknownFlag(name: string, known: readonly string[]): string {
  const near = suggestion(name, known);
  return `unknown flag: --${name}${near === undefined ? "" : ` (did you mean ${near}?)`}`;
}

/** The word of `known` that `word` was probably meant to be, if one is near enough. */
export function suggestion(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  let best: string | undefined;
  let least = lower.length > 8 ? 4 : 3;
  for (const candidate of known) {
    const distance = editDistance(lower, candidate.toLowerCase());
    if (distance > 0 && distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Letters to insert, remove or replace to get from `a` to `b`. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 4) return 5;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
