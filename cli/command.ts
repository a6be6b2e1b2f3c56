import type { Completion, OptionRow, Values } from "./option.ts";
import type { Services } from "./services.ts";

/**
 * The code behind a command.
 * @returns its exit code; `undefined` when it will exit by itself.
 */
export type Main<Options extends readonly OptionRow[]> = (
  values: Values<Options>,
  operands: readonly string[],
  services: Services,
) => number | undefined | Promise<number | undefined>;

/** One command: a row from which the parser, the help and the shell completion are made. */
export interface CommandRow {
  /** One or two words. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Heading in the program's help. */
  readonly group: Group;
  /** Operands as the usage line shows them. */
  readonly usage: string;
  readonly operands: {
    readonly min: number;
    readonly max?: number;
    readonly complete?: Completion;
  };
  /** One line. */
  readonly summary: string;
  /** Paragraphs for the command's own help. */
  readonly about?: string;
  readonly options: readonly OptionRow[];
  readonly optionsEndAtOperand?: boolean;
  readonly examples: readonly (readonly [line: string, meaning: string])[];
  /** Exit codes that are the command's own. */
  readonly exitCodes?: readonly (readonly [code: string, meaning: string])[];
  /** Exit code when the command itself fails, rather than what it runs; default 1. */
  readonly failsWith?: number;
  readonly load: () => Promise<{ main: Main<readonly OptionRow[]> }>;
}

/** Headings of the program's help. */
export const GROUPS = {
  run: "Run containers",
  look: "Look at containers",
  end: "Stop and remove containers",
  images: "Images",
  volumes: "Volumes",
  networks: "Networks",
  engine: "Docker's clients",
  system: "This installation",
} as const;
export type Group = keyof typeof GROUPS;

/** A row whose code takes exactly the row's options. */
export type TypedRow<Options extends readonly OptionRow[]> = Omit<
  CommandRow,
  "options" | "load"
> & {
  readonly options: Options;
  readonly load: () => Promise<{ main: Main<Options> }>;
};
