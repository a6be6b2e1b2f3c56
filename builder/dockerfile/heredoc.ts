import { expand, splitWords } from "./expand.ts";

/** A here-document of an instruction, as `<<NAME` announces it and the lines after it bring it. */
export interface Heredoc {
  readonly name: string;
  /** Its lines, each with its newline. */
  readonly content: string;
  /** Variables in it are expanded: its name was not quoted. */
  readonly expand: boolean;
  /** `<<-`: tabs at the beginnings of its lines are not part of it. */
  readonly chomp: boolean;
}

export type HeredocStart = Omit<Heredoc, "content">;

const START = /^(\d*)<<(-?)([^<]*)$/;
const RAW = { escapeToken: "\\", rawQuotes: true, rawEscapes: true, keepUnset: true } as const;
const PLAIN = { escapeToken: "\\", keepUnset: true } as const;
const NOTHING: ReadonlyMap<string, string> = new Map();

/** The here-documents that a line announces, in their order. */
export function heredocsOf(line: string): readonly HeredocStart[] {
  if (!line.includes("<<")) return [];
  let words: readonly string[];
  try {
    words = splitWords(line, NOTHING, RAW);
  } catch {
    return []; // quotes that the shell will judge
  }
  return words.flatMap((word) => heredocOf(word) ?? []);
}

/** What one word announces, or undefined. */
export function heredocOf(word: string): HeredocStart | undefined {
  const [, , dash, rest = ""] = START.exec(word) ?? [];
  if (rest === "") return undefined;
  try {
    const plain = splitWords(rest, NOTHING, PLAIN);
    const [name] = plain;
    if (plain.length !== 1 || name === undefined) return undefined;
    const quoted = expand(rest, NOTHING, RAW) !== name;
    return { name, expand: !quoted, chomp: dash === "-" };
  } catch {
    return undefined;
  }
}

/** Its content without the tabs that `<<-` takes away. */
export function chomped(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replace(/^\t+/gm, "") : heredoc.content;
}
