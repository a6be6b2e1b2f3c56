import { type CommandRow, GROUPS } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import type { OptionRow } from "./option.ts";
import { paint } from "./style.ts";

/** Width of the left column of a list in the help. */
const COLUMN = 36;

/** The program's help. @param colour whether to style it for a terminal. */
export function programHelp(colour: boolean): string {
  const heading = (text: string) => paint("bold", text, colour);
  const parts = [
    `${heading("ddcli")} runs Linux containers without a virtual machine and without a daemon.`,
    "",
    `${heading("Usage:")} ddcli COMMAND [OPTIONS] ...`,
    "",
    heading("First steps"),
    ...list([
      ["ddcli run --rm host echo hello", "this machine's own programs, nothing to pull"],
      ["ddcli run --rm -it debian bash", "a shell in an image"],
      ["ddcli run --untrusted --rm host sh", "the same, for code you do not trust"],
      ["ddcli doctor", "what this machine can do"],
    ]),
  ];
  for (const [group, title] of Object.entries(GROUPS)) {
    const rows = COMMANDS.filter((row) => row.group === group);
    parts.push("", heading(title), ...list(rows.map((row) => [row.name, row.summary])));
  }
  parts.push(
    "",
    heading("Modes"),
    ...list([
      ["trusted (default)", "the container's code runs in ddcli's own process: no boundary"],
      ["untrusted", "--untrusted or DDJIT_UNTRUSTED=1: a confined process, or a refusal"],
    ]),
    "",
    heading("Environment"),
    ...list([
      ["DD_ROOT", "images, containers, volumes; default: the user's data directory"],
      ["DD_RUN", "sockets and locks; default: the user's run directory"],
      ["DDJIT_UNTRUSTED=1", "untrusted for every run"],
      ["DD_TRACE=1", "print a line per system call of the container"],
      ["NO_COLOR=1", "no colours"],
    ]),
    "",
    heading("Exit codes"),
    ...list([
      ["run, start -a, exec", "the command's; 125 ddcli failed, 126 not executable, 127 not found"],
      ["others", "0, 1 failed, 125 wrong command line"],
    ]),
    "",
    'For one command, its options and examples: "ddcli COMMAND --help".',
  );
  return `${parts.join("\n")}\n`;
}

/** One command's help. */
export function commandHelp(row: CommandRow, colour: boolean): string {
  const heading = (text: string) => paint("bold", text, colour);
  const usage = ["ddcli", row.name, row.options.length > 0 ? "[OPTIONS]" : "", row.usage];
  const parts = [
    `${row.summary}.`,
    "",
    `${heading("Usage:")} ${usage.filter((word) => word !== "").join(" ")}`,
  ];
  if (row.aliases !== undefined) {
    parts.push(`${heading("Also:")}  ${row.aliases.map((name) => `ddcli ${name}`).join(", ")}`);
  }
  if (row.about !== undefined) parts.push("", row.about);
  parts.push("", heading("Examples"));
  for (const [line, meaning] of row.examples) {
    parts.push(`  ${line}`, `      ${paint("dim", meaning, colour)}`);
  }
  if (row.options.length > 0) {
    parts.push("", heading("Options"), ...list(row.options.map((option) => optionLine(option))));
  }
  if (row.exitCodes !== undefined) parts.push("", heading("Exit codes"), ...list(row.exitCodes));
  return `${parts.join("\n")}\n`;
}

/** The help of commands whose names share their first word. */
export function familyHelp(word: string, rows: readonly CommandRow[], colour: boolean): string {
  const names = rows.map((row) => {
    const name = [row.name, ...(row.aliases ?? [])].find((each) => each.startsWith(`${word} `));
    return [name ?? row.name, row.summary] as const;
  });
  return `${paint("bold", "Usage:", colour)} ddcli ${word} COMMAND\n\n${list(names).join("\n")}\n`;
}

function optionLine(option: OptionRow): readonly [string, string] {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  const value = option.value === undefined ? "" : ` ${option.value}`;
  const repeat = option.repeat === true ? " (may be repeated)" : "";
  return [`${short}--${option.name}${value}`, `${option.help}${repeat}`];
}

function list(rows: readonly (readonly [string, string])[]): string[] {
  return rows.map(([left, right]) =>
    left.length < COLUMN
      ? `  ${left.padEnd(COLUMN)} ${right}`
      : `  ${left}\n  ${" ".repeat(COLUMN)} ${right}`,
  );
}
