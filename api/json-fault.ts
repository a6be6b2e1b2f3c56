/**
 * What is wrong with a text that is no JSON, in the words of Go's decoder: clients and their tests match them, and
 * they name the character, which those of V8 do not.
 */
import { ApiError } from "./errors.ts";

const SPACE = /[ \t\r\n]*/y;
const LITERALS = ["true", "false", "null"];
const ESCAPES = '"\\/bfnrt';
/** As Go's decoder. */
const DEPTH_MAX = 10_000;

class Fault extends Error {}

/**
 * @param text what `JSON.parse` refuses.
 * @returns the refusal, or undefined when Go's decoder would not refuse it.
 */
export function jsonFault(text: string): ApiError | undefined {
  try {
    const end = new Scanner(text).document();
    return end < text.length ? new ApiError("TRAILING_CONTENT") : undefined;
  } catch (error) {
    if (error instanceof Fault) return new ApiError("INVALID_JSON", error.message);
    throw error;
  }
}

/** Where a structure that is not closed yet stands. */
type Open = "object" | "array";

class Scanner {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** Reads the first value. @returns where what follows it begins. */
  document(): number {
    const open: Open[] = [];
    do {
      const inner = this.valueOrOpening(open);
      if (inner !== undefined) {
        if (open.push(inner) > DEPTH_MAX) throw new Fault("exceeded max depth");
        continue;
      }
      this.closing(open);
    } while (open.length > 0);
    this.space();
    return this.at;
  }

  /** A whole value; or the beginning of a structure that has a first member. */
  private valueOrOpening(open: readonly Open[]): Open | undefined {
    const inObject = open.at(-1) === "object";
    if (inObject) this.key("looking for beginning of object key string");
    const char = this.next();
    switch (char) {
      case "{":
        this.at += 1;
        if (this.next() !== "}") return "object";
        this.at += 1;
        return undefined;
      case "[":
        this.at += 1;
        if (this.next() !== "]") return "array";
        this.at += 1;
        return undefined;
      case '"':
        this.string();
        return undefined;
      default:
        this.scalar(char);
        return undefined;
    }
  }

  /** What may follow a value: its structure's next member, or its end and that of those around it. */
  private closing(open: Open[]): void {
    for (let around = open.at(-1); around !== undefined; around = open.at(-1)) {
      const [end, place] =
        around === "object" ? ["}", "after object key:value pair"] : ["]", "after array element"];
      const char = this.next();
      if (char !== "," && char !== end) throw invalid(char, place ?? "");
      this.at += 1;
      if (char === ",") return;
      open.pop();
    }
  }

  private key(place: string): void {
    const char = this.next();
    if (char !== '"') throw invalid(char, place);
    this.string();
    const colon = this.next();
    if (colon !== ":") throw invalid(colon, "after object key");
    this.at += 1;
  }

  private string(): void {
    this.at += 1;
    for (;;) {
      const char = this.taken();
      if (char === '"') return;
      if (char < " ") throw invalid(char, "in string literal");
      if (char !== "\\") continue;
      const mark = this.taken();
      if (mark !== "u" && !ESCAPES.includes(mark)) {
        throw invalid(mark, "in string escape code");
      }
      for (let digit = 0; mark === "u" && digit < 4; digit += 1) {
        const hex = this.taken();
        if (!/[0-9a-fA-F]/.test(hex)) throw invalid(hex, "in \\u hexadecimal character escape");
      }
    }
  }

  private scalar(first: string): void {
    const literal = LITERALS.find((each) => each.startsWith(first));
    if (literal !== undefined) {
      this.at += 1;
      for (const wanted of literal.slice(1)) {
        const char = this.taken();
        if (char === wanted) continue;
        throw invalid(char, `in literal ${literal} (expecting '${wanted}')`);
      }
      return;
    }
    if (!/[-0-9]/.test(first)) throw invalid(first, "looking for beginning of value");
    if (first === "-") this.at += 1;
    if (this.text[this.at] === "0") this.at += 1;
    else this.digits("in numeric literal");
    if (this.text[this.at] === ".") {
      this.at += 1;
      this.digits("after decimal point in numeric literal");
    }
    if (/[eE]/.test(this.text[this.at] ?? "")) {
      this.at += 1;
      if (/[-+]/.test(this.text[this.at] ?? "")) this.at += 1;
      this.digits("in exponent of numeric literal");
    }
  }

  private digits(place: string): void {
    const char = this.taken();
    if (!/[0-9]/.test(char)) throw invalid(char, place);
    while (/[0-9]/.test(this.text[this.at] ?? "")) this.at += 1;
  }

  /** The next character that is no space, still to be taken. */
  private next(): string {
    this.space();
    return this.peek();
  }

  private taken(): string {
    const char = this.peek();
    this.at += char.length;
    return char;
  }

  private peek(): string {
    const code = this.text.codePointAt(this.at);
    if (code === undefined) throw new Fault("unexpected EOF");
    return String.fromCodePoint(code);
  }

  private space(): void {
    SPACE.lastIndex = this.at;
    SPACE.test(this.text);
    this.at = SPACE.lastIndex;
  }
}

function invalid(char: string, place: string): Fault {
  const quoted = char === "'" ? "'\\''" : char === '"' ? `'"'` : `'${escaped(char)}'`;
  return new Fault(`invalid character ${quoted} ${place}`);
}

/** As `strconv.Quote`, for what is likely. */
function escaped(char: string): string {
  return JSON.stringify(char).slice(1, -1).replace(/^\\"$/, '"');
}
