/** Reads SBPL, the Scheme dialect of macOS sandbox profiles, into nested lists. */

export type Expression =
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "symbol"; readonly name: string }
  | { readonly kind: "string"; readonly value: string }
  /** `#"..."`, a string without escapes, used for regular expressions. */
  | { readonly kind: "raw-string"; readonly value: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "boolean"; readonly value: boolean };

/** The text is not SBPL, or uses a part of it that this reader does not know. */
export class SbplError extends Error {
  readonly code = "DD_SBPL";
}

const LENGTH_MAX = 1 << 20;
const DEPTH_MAX = 64;
const SYMBOL = /^[A-Za-z0-9!$%&*/:<=>?^_~+.@-]+/;

/** All expressions of a profile. @throws SbplError */
export function readSbpl(text: string): readonly Expression[] {
  if (text.length > LENGTH_MAX) throw new SbplError("The profile is too long");
  const reader = new Reader(text);
  const expressions: Expression[] = [];
  for (reader.skipBlanks(); !reader.atEnd; reader.skipBlanks()) expressions.push(reader.read(0));
  return expressions;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  skipBlanks(): void {
    const blanks = /^(?:\s|;[^\n]*)+/.exec(this.#text.slice(this.#at));
    this.#at += blanks?.[0].length ?? 0;
  }

  read(depth: number): Expression {
    if (depth > DEPTH_MAX) throw this.#error("The profile is nested too deeply");
    const next = this.#text[this.#at];
    if (next === "(") return this.#readList(depth);
    if (next === '"') return { kind: "string", value: this.#readString() };
    if (next === "'") {
      this.#at += 1;
      return { kind: "list", items: [{ kind: "symbol", name: "quote" }, this.read(depth + 1)] };
    }
    if (next === "#") return this.#readHash();
    return this.#readAtom();
  }

  #readList(depth: number): Expression {
    this.#at += 1;
    const items: Expression[] = [];
    for (;;) {
      this.skipBlanks();
      if (this.atEnd) throw this.#error("A list is not closed");
      if (this.#text[this.#at] === ")") break;
      items.push(this.read(depth + 1));
    }
    this.#at += 1;
    return { kind: "list", items };
  }

  #readString(): string {
    let value = "";
    for (this.#at += 1; ; this.#at += 1) {
      const next = this.#text[this.#at];
      if (next === undefined) throw this.#error("A string is not closed");
      if (next === '"') break;
      if (next === "\\") {
        this.#at += 1;
        const escaped = this.#text[this.#at];
        if (escaped !== '"' && escaped !== "\\") throw this.#error("An unknown escape in a string");
        value += escaped;
      } else {
        value += next;
      }
    }
    this.#at += 1;
    return value;
  }

  #readHash(): Expression {
    const rest = this.#text.slice(this.#at, this.#at + 2);
    if (rest === "#t" || rest === "#f") {
      this.#at += 2;
      return { kind: "boolean", value: rest === "#t" };
    }
    const end = this.#text.indexOf('"', this.#at + 2);
    if (rest !== '#"' || end < 0) throw this.#error("An unknown word after #");
    const value = this.#text.slice(this.#at + 2, end);
    this.#at = end + 1;
    return { kind: "raw-string", value };
  }

  #readAtom(): Expression {
    const word = SYMBOL.exec(this.#text.slice(this.#at, this.#at + 256))?.[0];
    if (word === undefined) throw this.#error("An unexpected character");
    this.#at += word.length;
    return /^-?\d+$/.test(word)
      ? { kind: "number", value: Number(word) }
      : { kind: "symbol", name: word };
  }

  #error(what: string): SbplError {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    return new SbplError(`${what}, line ${line}`);
  }
}
