import { usageError } from "./errors.ts";
import type { OptionRow } from "./option.ts";
import { closest } from "./suggest.ts";

/** A command line taken apart. */
export interface Parsed {
  /** By long name: what was given; see {@link import("./option.ts").Values}. */
  readonly values: Readonly<Record<string, boolean | string | readonly string[] | undefined>>;
  readonly operands: readonly string[];
  /** `--help` or `-h` was among the options. */
  readonly help: boolean;
}

/** What of a command the parser needs. */
export interface Grammar {
  readonly options: readonly OptionRow[];
  /** Options end at the first operand: what follows belongs to the container's command. */
  readonly optionsEndAtOperand?: boolean;
}

/** The words `--flag=word` takes, as Go's strconv.ParseBool, which docker's users know. */
const BOOLEANS: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

/**
 * Takes a command's arguments apart by docker's grammar: `--name value`, `--name=value`, `-n value`,
 * `-nvalue`, `-n=value`, clustered switches (`-it`), `--` ends the options.
 * @throws {CliError} `USAGE` with a suggestion when an option is unknown, lacks its value or has a bad one.
 */
export function parse(grammar: Grammar, words: readonly string[]): Parsed {
  return new Parser(grammar, words).run();
}

class Parser {
  private readonly grammar: Grammar;
  private readonly words: readonly string[];
  private next = 0;
  private readonly switches = new Map<string, boolean>();
  private readonly texts = new Map<string, string[]>();
  private readonly operands: string[] = [];
  private help = false;

  constructor(grammar: Grammar, words: readonly string[]) {
    this.grammar = grammar;
    this.words = words;
  }

  run(): Parsed {
    while (this.next < this.words.length) {
      const word = this.words[this.next++] ?? "";
      if (word === "--") {
        this.takeRest();
      } else if (word.startsWith("--")) {
        this.long(word.slice(2));
      } else if (word.startsWith("-") && word !== "-") {
        this.cluster(word.slice(1));
      } else {
        this.operands.push(word);
        if (this.grammar.optionsEndAtOperand === true) this.takeRest();
      }
    }
    return { values: this.values(), operands: this.operands, help: this.help };
  }

  private takeRest(): void {
    this.operands.push(...this.words.slice(this.next));
    this.next = this.words.length;
  }

  private long(body: string): void {
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    const given = equals < 0 ? undefined : body.slice(equals + 1);
    const row = this.grammar.options.find((option) => option.name === name);
    if (row !== undefined) {
      this.take(row, `--${name}`, given);
    } else if (name === "help" && given === undefined) {
      this.help = true;
    } else {
      const near = closest(
        name,
        this.grammar.options.map((option) => option.name),
      );
      throw usageError(
        `unknown option: --${name}`,
        near === undefined ? undefined : `Did you mean --${near}?`,
      );
    }
  }

  private cluster(letters: string): void {
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i] ?? "";
      const row = this.grammar.options.find((option) => option.short === letter);
      const rest = letters.slice(i + 1);
      if (row === undefined) {
        if (letter === "h") {
          this.help = true;
          continue;
        }
        throw usageError(
          `unknown option: -${letter}${letters.length > 1 ? ` in -${letters}` : ""}`,
          this.longHint(letters),
        );
      }
      const given = rest.startsWith("=") ? rest.slice(1) : rest === "" ? undefined : rest;
      if (row.value !== undefined || rest.startsWith("=")) {
        this.take(row, `-${letter}`, given);
        return;
      }
      this.take(row, `-${letter}`, undefined);
    }
  }

  /** `-name` for `--name` is the most common slip. */
  private longHint(letters: string): string | undefined {
    const name = letters.split("=", 1)[0] ?? "";
    return this.grammar.options.some((option) => option.name === name)
      ? `Did you mean --${name}?`
      : undefined;
  }

  private take(row: OptionRow, spelled: string, given: string | undefined): void {
    if (row.value === undefined) {
      const on = given === undefined ? true : BOOLEANS[given];
      if (on === undefined) {
        throw usageError(`invalid value "${given}" for ${spelled}: it takes true or false`);
      }
      this.switches.set(row.name, on);
      return;
    }
    let value = given;
    if (value === undefined) {
      if (this.next >= this.words.length) {
        throw usageError(`option ${spelled} needs a value: ${spelled} ${row.value}`);
      }
      value = this.words[this.next++] ?? "";
    }
    if (row.choices !== undefined && !row.choices.includes(value)) {
      throw usageError(
        `invalid value "${value}" for ${spelled}`,
        `It takes one of: ${row.choices.join(", ")}`,
      );
    }
    const before = row.repeat === true ? (this.texts.get(row.name) ?? []) : [];
    this.texts.set(row.name, [...before, value]);
  }

  private values(): Parsed["values"] {
    const values: Record<string, boolean | string | readonly string[] | undefined> = {};
    for (const row of this.grammar.options) {
      if (row.value === undefined) values[row.name] = this.switches.get(row.name) ?? false;
      else if (row.repeat === true) values[row.name] = this.texts.get(row.name) ?? [];
      else values[row.name] = this.texts.get(row.name)?.[0];
    }
    return values;
  }
}
