import { BuildError } from "../errors.ts";

const BLANKS = /[\t\v\f\r ]+/;
const BLANK = /\s/u;

function invalid(message: string): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message);
}

/** Whether the rest of an instruction is a JSON array of strings. */
export function isJsonForm(rest: string): boolean {
  try {
    return jsonStrings(rest) !== undefined;
  } catch {
    return true; // an array of other things: an error wherever it is read
  }
}

/**
 * The strings of a JSON array; undefined where it is no JSON array.
 * @throws {BuildError} DOCKERFILE_INVALID where it is an array of something else
 */
export function jsonStrings(rest: string): readonly string[] | undefined {
  if (!rest.trimStart().startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(rest);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (value.every((item) => typeof item === "string")) return value;
  throw invalid("when using JSON array syntax, arrays must be comprised of strings only");
}

/** Words between blanks. */
export function blankSeparated(rest: string): readonly string[] {
  return rest === "" ? [] : rest.split(BLANKS);
}

/**
 * Words between blanks outside of quotes. Quotes and escapes stay: they are taken away when the word is
 * expanded.
 */
export function quotedWords(rest: string, escapeToken: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let isWord = false;
  let quote = "";
  const characters = [...rest];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? "";
    if (quote === "" && BLANK.test(character)) {
      if (isWord) words.push(word);
      word = "";
      isWord = false;
      continue;
    }
    if (character === escapeToken && quote !== "'") {
      const escaped = characters[at + 1];
      if (escaped === undefined) continue; // one at the very end means nothing
      word += character + escaped;
      isWord = true;
      at++;
      continue;
    }
    if (quote === "" ? character === "'" || character === '"' : character === quote) {
      quote = quote === "" ? character : "";
    }
    word += character;
    isWord = true;
  }
  if (isWord) words.push(word);
  return words;
}

export interface Pair {
  readonly key: string;
  readonly value: string;
  /** Written `key value`, not `key=value`. */
  readonly spaced: boolean;
}

/**
 * `key=value key2="v 2"`, or `key the rest of the line`.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function pairs(rest: string, instruction: string, escapeToken: string): readonly Pair[] {
  const words = quotedWords(rest, escapeToken);
  const [first] = words;
  if (first === undefined) throw invalid(`${instruction} requires at least one argument`);
  if (!first.includes("=")) {
    const [, key = "", value] = /^([^\t\v\f\r ]+)[\t\v\f\r ]+(.*)$/s.exec(rest) ?? [];
    if (value === undefined) throw invalid(`${instruction} must have two arguments`);
    return [{ key, value, spaced: true }];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 0) {
      throw invalid(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    }
    if (equals === 0) throw invalid(`${instruction} names can not be blank`);
    return { key: word.slice(0, equals), value: word.slice(equals + 1), spaced: false };
  });
}
