/** One option of a command: a row from which the parser, the help and the shell completion are made. */
export interface OptionRow {
  /** Long name, without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What the value is called in the help. Without it the option is a switch, off by default. */
  readonly value?: string;
  /** May be given several times; the values are kept in order. */
  readonly repeat?: true;
  /** One line that says what it does, not what it is called. */
  readonly help: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** What the shell completes the value with. */
  readonly complete?: Completion;
}

/** Kinds of words the shell completes from what exists. */
export type Completion = "file" | "directory" | "image" | "container" | "volume" | "network";

type ValueOf<Row extends OptionRow> = Row extends { readonly value: string }
  ? Row extends { readonly repeat: true }
    ? readonly string[]
    : string | undefined
  : boolean;

/** What the command line said, by long name: text, texts, or whether the switch is on. */
export type Values<Options extends readonly OptionRow[]> = {
  readonly [Row in Options[number] as Row["name"]]: ValueOf<Row>;
};
