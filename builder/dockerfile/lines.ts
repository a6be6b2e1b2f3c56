import { BuildError, type SourceRange } from "../errors.ts";
import { DOCKERFILE_BYTES_MAX, INSTRUCTIONS_MAX, LINE_BYTES_MAX } from "../limits.ts";
import { takeFlags } from "./flags.ts";
import { type Heredoc, heredocsOf } from "./heredoc.ts";
import { isJsonForm } from "./words.ts";

/** An instruction as it is written: its name, its flags, and the rest as one line. */
export interface Line {
  /** As written; instructions have no case. */
  readonly name: string;
  /** `--name=value`, without the quotes they may have had. */
  readonly flags: readonly string[];
  readonly rest: string;
  /** The whole instruction with its continuation lines joined. */
  readonly original: string;
  readonly heredocs: readonly Heredoc[];
  /** Comments right before it. */
  readonly comments: readonly string[];
  readonly range: SourceRange;
}

export interface Lines {
  readonly lines: readonly Line[];
  /** `# escape=`. */
  readonly escapeToken: "\\" | "`";
  /** `# syntax=`. */
  readonly syntax: string | undefined;
  /** `# check=`. */
  readonly check: string | undefined;
  readonly warnings: readonly Warning[];
}

/** What is odd and not wrong. */
export interface Warning {
  readonly message: string;
  readonly range: SourceRange;
}

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const DIRECTIVES = new Set(["escape", "syntax", "check"]);
const HEREDOC_INSTRUCTIONS = new Set(["add", "copy", "run"]);

/**
 * Splits a Dockerfile into instructions: directives, comments, continuation lines, here-documents.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function readLines(bytes: Uint8Array): Lines {
  if (bytes.length > DOCKERFILE_BYTES_MAX) {
    throw invalid(`the Dockerfile has more than ${DOCKERFILE_BYTES_MAX} bytes`, 1, 1);
  }
  return new LineReader(Buffer.from(bytes).toString("utf8")).read();
}

function invalid(message: string, start: number, end: number): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message, { range: { start, end } });
}

class LineReader {
  readonly #source: readonly string[];
  readonly #lines: Line[] = [];
  readonly #warnings: Warning[] = [];
  readonly #directives = new Map<string, string>();
  #escapeToken: "\\" | "`" = "\\";
  #inDirectives = true;
  #at = 0;
  #comments: string[] = [];

  constructor(text: string) {
    const lines = text.replace(/^\uFEFF/, "").split("\n");
    if (lines.at(-1) === "") lines.pop();
    this.#source = lines.map((line) => line.replace(/\r$/, ""));
  }

  read(): Lines {
    while (this.#at < this.#source.length) this.#instruction();
    if (this.#lines.length === 0) {
      throw invalid("file with no instructions", this.#at, this.#at);
    }
    return {
      lines: this.#lines,
      escapeToken: this.#escapeToken,
      syntax: this.#directives.get("syntax"),
      check: this.#directives.get("check"),
      warnings: this.#warnings,
    };
  }

  /** The next line of the source. */
  #take(): string | undefined {
    const line = this.#source[this.#at];
    if (line === undefined) return undefined;
    this.#at++;
    if (line.length > LINE_BYTES_MAX || Buffer.byteLength(line) > LINE_BYTES_MAX) {
      const message = `dockerfile line greater than max allowed size of ${LINE_BYTES_MAX}`;
      throw invalid(message, this.#at, this.#at);
    }
    return line;
  }

  #instruction(): void {
    let line = (this.#take() ?? "").trimStart();
    const start = this.#at;
    const isDirective = this.#directive(line);
    if (line.startsWith("#")) {
      if (isDirective) return;
      const comment = line.slice(1).trim();
      if (comment === "") this.#comments = [];
      else this.#comments.push(comment);
      return;
    }
    let [text, goesOn] = this.#continuation(line);
    if (text.trim() === "" && !goesOn) {
      this.#comments = [];
      return;
    }
    let hasEmpty = false;
    while (goesOn) {
      const next = this.#take();
      if (next === undefined) break;
      if (next.trimStart().startsWith("#")) continue;
      if (next.trim() === "") {
        hasEmpty = true;
        continue;
      }
      [line, goesOn] = this.#continuation(next);
      text += line;
    }
    if (hasEmpty) {
      this.#warnings.push({
        message: `Empty continuation line found in: ${text}`,
        range: { start: this.#at, end: this.#at },
      });
    }
    if (text.trim() !== "") this.#add(text, start);
  }

  /** The line without the escape at its end, and whether there was one. */
  #continuation(line: string): [text: string, goesOn: boolean] {
    const trimmed = line.replace(/[ \t]*$/, "");
    if (!trimmed.endsWith(this.#escapeToken)) return [line, false];
    const text = trimmed.slice(0, -1);
    // An escaped escape is one that means itself.
    return text.endsWith(this.#escapeToken) ? [line, false] : [text, true];
  }

  /** @returns whether the line is one */
  #directive(line: string): boolean {
    if (!this.#inDirectives) return false;
    const [, name = "", value = ""] = DIRECTIVE.exec(line) ?? [];
    const key = name.toLowerCase();
    if (!DIRECTIVES.has(key)) {
      this.#inDirectives = false;
      return false;
    }
    if (this.#directives.has(key)) {
      throw invalid(`only one ${key} parser directive can be used`, this.#at, this.#at);
    }
    this.#directives.set(key, value);
    if (key !== "escape") return true;
    if (value !== "\\" && value !== "`") {
      const message = `invalid escape token '${value}' does not match \` or \\`;
      throw invalid(message, this.#at, this.#at);
    }
    this.#escapeToken = value;
    return true;
  }

  #add(text: string, start: number): void {
    if (this.#lines.length >= INSTRUCTIONS_MAX) {
      throw invalid(`more than ${INSTRUCTIONS_MAX} instructions`, start, this.#at);
    }
    const { name, flags, rest } = splitInstruction(text);
    const heredocs = mayHaveHeredocs(name, rest) ? this.#heredocs(text, start) : [];
    const range = { start, end: this.#at };
    const comments = this.#comments;
    this.#comments = [];
    this.#lines.push({ name, flags, rest, original: text, heredocs, comments, range });
  }

  #heredocs(line: string, start: number): readonly Heredoc[] {
    return heredocsOf(line).map((heredoc) => {
      const lines: string[] = [];
      for (;;) {
        const next = this.#take();
        if (next === undefined) throw invalid("unterminated heredoc", start, this.#at);
        if ((heredoc.chomp ? next.replace(/^\t+/, "") : next) === heredoc.name) break;
        lines.push(`${next}\n`);
      }
      return { ...heredoc, content: lines.join("") };
    });
  }
}

/** An instruction's name, its flags, and what follows. */
export function splitInstruction(text: string): Pick<Line, "name" | "flags" | "rest"> {
  const [, name = "", args = ""] = /^([^\t\v\f\r ]*)[\t\v\f\r ]*(.*)$/s.exec(text.trim()) ?? [];
  return { name, ...takeFlags(args) };
}

function mayHaveHeredocs(name: string, rest: string): boolean {
  const instruction = name.toLowerCase();
  if (instruction === "onbuild") {
    const inner = splitInstruction(rest);
    return inner.name.toLowerCase() !== "onbuild" && mayHaveHeredocs(inner.name, inner.rest);
  }
  return HEREDOC_INSTRUCTIONS.has(instruction) && !isJsonForm(rest);
}
