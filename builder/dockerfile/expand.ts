import { BuildError } from "../errors.ts";
import { EXPANSION_DEPTH_MAX, EXPANSION_MAX } from "../limits.ts";
import { ShellPattern } from "./shell-pattern.ts";

/** How a text is expanded and split. */
export interface ExpandOptions {
  /** The character that takes the meaning of the next one away. */
  readonly escapeToken: "\\" | "`";
  /** Keep quotes, and escapes, in the result. */
  readonly rawQuotes?: boolean;
  readonly rawEscapes?: boolean;
  /** Quotes mean nothing. */
  readonly ignoreQuotes?: boolean;
  /** Leave `$NAME` as it is where there is no such variable. */
  readonly keepUnset?: boolean;
  /** Told of each name that is used and has no value, where none is given in its place. */
  readonly onUnset?: (name: string) => void;
}

/**
 * `text` with its variables replaced and its quotes taken away, by the rules of Dockerfiles: the shell's, with
 * `${x}`, `${x:-y}`, `${x-y}`, `${x:+y}`, `${x+y}`, `${x:?y}`, `${x?y}`, `${x#y}`, `${x##y}`, `${x%y}`,
 * `${x%%y}`, `${x/y/z}` and `${x//y/z}`.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function expand(
  text: string,
  variables: ReadonlyMap<string, string>,
  options: ExpandOptions,
): string {
  return new Expansion(text, variables, options).run().text;
}

/** As {@link expand}, and split at blanks that were not quoted, those of expanded values included. */
export function splitWords(
  text: string,
  variables: ReadonlyMap<string, string>,
  options: ExpandOptions,
): readonly string[] {
  return new Expansion(text, variables, options).run().words;
}

const SPECIAL = "@*#?-$!0";
const BLANK = /\s/u;
const LETTER = /[\p{L}\p{Nd}_]/u;
const DIGIT = /\p{Nd}/u;

function invalid(message: string): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message);
}

/** Text that grows, and the words it is made of. */
class Result {
  text = "";
  readonly words: string[] = [];
  #word = "";
  #inWord = false;

  /** A character, or the value of a variable, that was not quoted: blanks in it separate words. */
  add(part: string): void {
    this.#grow(part);
    for (const character of part) {
      if (!BLANK.test(character)) {
        this.#word += character;
        this.#inWord = true;
      } else if (this.#inWord) this.#endWord();
    }
  }

  /** What was quoted or escaped. */
  addRaw(part: string): void {
    this.#grow(part);
    this.#word += part;
    this.#inWord = true;
  }

  finish(): this {
    this.#endWord();
    return this;
  }

  #endWord(): void {
    if (this.#word !== "") {
      this.words.push(this.#word);
      this.#word = "";
      this.#inWord = false;
    }
  }

  #grow(part: string): void {
    if (this.text.length + part.length > EXPANSION_MAX) {
      throw invalid(`expanded text has more than ${EXPANSION_MAX} characters`);
    }
    this.text += part;
  }
}

/** One pass over a text. */
class Expansion {
  readonly #source: string;
  readonly #characters: readonly string[];
  readonly #variables: ReadonlyMap<string, string>;
  readonly #options: ExpandOptions;
  #at = 0;
  #depth = 0;

  constructor(source: string, variables: ReadonlyMap<string, string>, options: ExpandOptions) {
    this.#source = source;
    this.#characters = [...source];
    this.#variables = variables;
    this.#options = options;
  }

  run(): Result {
    try {
      return this.#until(undefined, this.#options.rawEscapes === true);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      throw invalid(`failed to process ${JSON.stringify(this.#source)}: ${error.message}`);
    }
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string | undefined {
    return this.#characters[this.#at++];
  }

  #until(stop: string | undefined, rawEscapes: boolean): Result {
    const result = new Result();
    const quotes = this.#options.ignoreQuotes !== true;
    for (let character = this.#peek(); character !== undefined; character = this.#peek()) {
      if (character === stop) {
        this.#at++;
        return result.finish();
      }
      if (character === "$") result.add(this.#dollar());
      else if (quotes && character === "'") result.addRaw(this.#single());
      else if (quotes && character === '"') result.addRaw(this.#double(rawEscapes));
      else {
        this.#at++;
        if (character !== this.#options.escapeToken) {
          result.add(character);
          continue;
        }
        if (rawEscapes) result.addRaw(character);
        const escaped = this.#next();
        if (escaped === undefined) break;
        result.addRaw(escaped);
      }
    }
    if (stop !== undefined) {
      throw invalid(`unexpected end of statement while looking for matching ${stop}`);
    }
    return result.finish();
  }

  #single(): string {
    let text = this.#quote();
    for (;;) {
      const character = this.#next();
      if (character === undefined) {
        throw invalid("unexpected end of statement while looking for matching single-quote");
      }
      if (character === "'") return this.#options.rawQuotes ? `${text}'` : text;
      text += character;
    }
  }

  #double(rawEscapes: boolean): string {
    const { escapeToken } = this.#options;
    let text = this.#quote();
    for (;;) {
      const character = this.#peek();
      if (character === undefined) {
        throw invalid("unexpected end of statement while looking for matching double-quote");
      }
      if (character === "$") {
        text += this.#dollar();
        continue;
      }
      this.#at++;
      if (character === '"') return this.#options.rawQuotes ? `${text}"` : text;
      if (character !== escapeToken) {
        text += character;
        continue;
      }
      if (rawEscapes) text += character;
      const escaped = this.#peek();
      if (escaped === undefined) continue;
      if (escaped === '"' || escaped === "$" || escaped === escapeToken) {
        this.#at++;
        text += escaped;
      } else text += character;
    }
  }

  /** Takes an opening quote. */
  #quote(): string {
    const quote = this.#next() ?? "";
    return this.#options.rawQuotes ? quote : "";
  }

  #dollar(): string {
    this.#at++;
    if (this.#peek() !== "{") {
      const name = this.#name();
      if (name === "") return "$";
      const value = this.#variables.get(name);
      if (value === undefined) this.#options.onUnset?.(name);
      return value ?? (this.#options.keepUnset ? `$${name}` : "");
    }
    this.#at++;
    const first = this.#peek();
    if (first === undefined) throw invalid("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") {
      throw invalid("syntax error: bad substitution");
    }
    if (++this.#depth > EXPANSION_DEPTH_MAX) throw invalid("syntax error: too deep a substitution");
    const text = this.#braces(this.#name());
    this.#depth--;
    return text;
  }

  /** What follows the name in `${NAME...}`. */
  #braces(name: string): string {
    const value = this.#variables.get(name);
    const keep = value === undefined && this.#options.keepUnset === true;
    let operator = this.#next() ?? "";
    if (value === undefined && "}/#%".includes(operator)) this.#options.onUnset?.(name);
    if (operator === "}") return value ?? (keep ? `\${${name}}` : "");
    if (operator === "/") return this.#replace(name, value, keep);
    const colon = operator === ":";
    if (colon) operator = this.#next() ?? "";
    const written = colon ? `:${operator}` : operator;
    if (operator === "" || !"+-?#%".includes(operator)) {
      throw invalid(`unsupported modifier (${written}) in substitution`);
    }
    const word = this.#part("}", operator === "#" || operator === "%", "syntax error: missing '}'");
    if (keep) return `\${${name}${written}${word}}`;
    const unset = value === undefined || (colon && value === "");
    switch (operator) {
      case "-":
        return unset ? word : value;
      case "+":
        return unset ? "" : word;
      case "?": {
        if (!unset) return value;
        const state = value === undefined ? "unset" : "empty";
        throw invalid(`${name}: ${word === "" ? `is not allowed to be ${state}` : word}`);
      }
      default:
        return trim(value ?? "", operator, word);
    }
  }

  #replace(name: string, value: string | undefined, keep: boolean): string {
    const all = this.#peek() === "/";
    if (all) this.#at++;
    const pattern = this.#part("/", true, "syntax error: missing '/' in \u0024{}");
    const replacement = this.#part("}", true, "syntax error: missing '}'");
    if (keep) return `\${${name}/${pattern}/${replacement}}`;
    return new ShellPattern(pattern).replace(value ?? "", replacement, all);
  }

  #part(stop: string, rawEscapes: boolean, missing: string): string {
    try {
      return this.#until(stop, rawEscapes).text;
    } catch (error) {
      throw this.#peek() === undefined ? invalid(missing) : error;
    }
  }

  #name(): string {
    let name = "";
    for (let character = this.#peek(); character !== undefined; character = this.#peek()) {
      if (name === "" && DIGIT.test(character)) {
        for (; character !== undefined && DIGIT.test(character); character = this.#peek()) {
          name += character;
          this.#at++;
        }
        return name;
      }
      if (name === "" && SPECIAL.includes(character)) {
        this.#at++;
        return character;
      }
      if (!LETTER.test(character)) break;
      name += character;
      this.#at++;
    }
    return name;
  }
}

/** `${x#pattern}` and its kin: `#` from the front, `%` from the end; doubled: as much as possible. */
function trim(value: string, operator: string, word: string): string {
  const greedy = word.startsWith(operator);
  const pattern = new ShellPattern(greedy ? word.slice(1) : word);
  return operator === "#" ? pattern.trimStart(value, greedy) : pattern.trimEnd(value, greedy);
}
