import { type CommandRow, GROUPS } from "./command.ts";
import type { OptionRow } from "./option.ts";

/** `docs/ddcli.md`: every command and option as Markdown, from the same rows as the help. */
export function reference(commands: readonly CommandRow[]): string {
  const parts = [
    "# ddcli",
    "",
    "<!-- Generated from cli/commands.ts and cli/options.ts by `npm run gen`. -->",
    "",
    "The same text as `ddcli COMMAND --help`. Options are written as docker's: `--name value`, `--name=value`,",
    "`-n value`, `-nvalue`, clustered switches (`-it`); `--` ends them.",
  ];
  for (const [group, title] of Object.entries(GROUPS)) {
    parts.push("", `## ${title}`);
    for (const row of commands.filter((each) => each.group === group)) parts.push(...section(row));
  }
  return `${parts.join("\n")}\n`;
}

function section(row: CommandRow): string[] {
  const usage = ["ddcli", row.name, row.options.length > 0 ? "[OPTIONS]" : "", row.usage];
  const parts = [
    "",
    `### ${row.name}`,
    "",
    `${row.summary}.`,
    "",
    "```",
    usage.filter((word) => word !== "").join(" "),
    "```",
  ];
  if (row.about !== undefined) parts.push("", row.about);
  parts.push("", "| example | what it does |", "|---|---|");
  for (const [line, meaning] of row.examples) parts.push(`| ${code(line)} | ${cell(meaning)} |`);
  if (row.options.length > 0) {
    parts.push("", "| option | what it does |", "|---|---|", ...row.options.map(optionRow));
  }
  if (row.exitCodes !== undefined) {
    parts.push("", "| exit code | meaning |", "|---|---|");
    for (const [exitCode, meaning] of row.exitCodes)
      parts.push(`| ${exitCode} | ${cell(meaning)} |`);
  }
  return parts;
}

function optionRow(option: OptionRow): string {
  const value = option.value === undefined ? "" : ` ${option.value}`;
  const short = option.short === undefined ? "" : `${code(`-${option.short}`)}, `;
  const repeat = option.repeat === true ? " (may be repeated)" : "";
  return `| ${short}${code(`--${option.name}${value}`)} | ${cell(option.help)}${repeat} |`;
}

function code(text: string): string {
  return `\`${cell(text)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
