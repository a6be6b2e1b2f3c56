/**
 * Every command of ddcli, one row each. The parser, the help and the shell completion are made from these
 * rows; the code behind a row is loaded when the command runs.
 */
import type { CommandRow, TypedRow } from "./command.ts";
import type { OptionRow } from "./option.ts";
import * as options from "./options.ts";

/** Checks at compile time that the code behind a row takes exactly the row's options. */
function command<const Options extends readonly OptionRow[]>(row: TypedRow<Options>): CommandRow {
  return row as unknown as CommandRow;
}

export const COMMANDS: readonly CommandRow[] = [
  command({
    name: "ps",
    aliases: ["container ls", "container list", "container ps"],
    group: "look",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "List containers",
    about: `Filters: id, name, label, status (created, running, exited), ancestor (image), mode (trusted, untrusted).`,
    options: options.PS_OPTIONS,
    examples: [
      ["ddcli ps -a", "all, running or not"],
      ["ddcli ps -q --filter label=job", "ids of those with a label"],
      ["ddcli ps --format '{{.Names}} {{.Mode}}'", "chosen columns"],
    ],
    load: () => import("./commands/ps.ts"),
  }),
  command({
    name: "volume ls",
    aliases: ["volume list"],
    group: "volumes",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "List named volumes",
    options: options.VOLUME_LS_OPTIONS,
    examples: [["ddcli volume ls", "names and where they are"]],
    load: () => import("./commands/volume-ls.ts"),
  }),
  command({
    name: "volume create",
    group: "volumes",
    usage: "[NAME]",
    operands: { min: 0, max: 1 },
    summary: "Make a volume",
    options: options.VOLUME_CREATE_OPTIONS,
    examples: [["ddcli volume create data", 'also made by "run -v data:/path"']],
    load: () => import("./commands/volume-create.ts"),
  }),
  command({
    name: "volume rm",
    aliases: ["volume remove"],
    group: "volumes",
    usage: "NAME...",
    operands: { min: 1, complete: "volume" },
    summary: "Remove volumes and what is in them",
    options: options.VOLUME_RM_OPTIONS,
    examples: [["ddcli volume rm data", "refused while a container has it"]],
    load: () => import("./commands/volume-rm.ts"),
  }),
  command({
    name: "version",
    group: "system",
    usage: "",
    operands: { min: 0, max: 0 },
    summary: "Show versions, the host and the modes",
    options: options.REPORT_OPTIONS,
    examples: [["ddcli version --json", "for a bug report"]],
    load: () => import("./commands/version.ts"),
  }),
  command({
    name: "completion",
    group: "system",
    usage: "bash",
    operands: { min: 1, max: 1 },
    summary: "Print the shell completion script",
    options: options.COMPLETION_OPTIONS,
    examples: [["source <(ddcli completion bash)", "in ~/.bashrc"]],
    load: () => import("./commands/completion.ts"),
  }),
];

/** A command found at the start of `words`, and how many words its name took. */
export function findCommand(
  words: readonly string[],
): { readonly row: CommandRow; readonly taken: number } | undefined {
  for (const taken of [2, 1]) {
    if (words.length < taken) continue;
    const name = words.slice(0, taken).join(" ");
    const row = COMMANDS.find((each) => each.name === name || each.aliases?.includes(name));
    if (row !== undefined) return { row, taken };
  }
  return undefined;
}

/** The commands whose two-word name begins with `word`. */
export function family(word: string): readonly CommandRow[] {
  return COMMANDS.filter((row) =>
    [row.name, ...(row.aliases ?? [])].some((name) => name.startsWith(`${word} `)),
  );
}
