import type { CommandRow } from "./command.ts";
import { family, findCommand } from "./commands.ts";
import { EXIT, usageError } from "./errors.ts";
import { commandHelp, familyHelp, programHelp } from "./help.ts";
import { parse } from "./parse.ts";
import type { Services } from "./services.ts";
import { coloured, paint } from "./style.ts";
import { closest } from "./suggest.ts";

/** The whole program. @returns the exit code, or undefined when the command exits by itself. */
async function run(words: readonly string[], services: Services): Promise<number | undefined> {
  const first = words[0];
  if (first === undefined || first === "--help" || first === "-h") return print(programHelp);
  if (first === "--version" || first === "-v") {
    const { version } = await import("./context.ts");
    return print(() => `ddcli version ${version()}\n`);
  }
  if (first === "help") {
    return words.length === 1 ? print(programHelp) : run([...words.slice(1), "--help"], services);
  }
  const found = findCommand(words);
  if (found === undefined) {
    const rows = family(first);
    if (rows.length === 0) throw unknownCommand(first, services);
    const second = words[1];
    if (second === undefined || second.startsWith("-")) {
      return print((colour) => familyHelp(first, rows, colour));
    }
    throw unknownCommand(`${first} ${second}`, services);
  }
  const { row } = found;
  try {
    return await runCommand(row, words.slice(found.taken), services);
  } catch (error) {
    return report(error, row);
  }
}

async function runCommand(
  row: CommandRow,
  words: readonly string[],
  services: Services,
): Promise<number | undefined> {
  const { values, operands, help } = parse(row, words);
  if (help) return print((colour) => commandHelp(row, colour));
  const { min, max } = row.operands;
  if (operands.length < min || operands.length > (max ?? Number.POSITIVE_INFINITY)) {
    throw usageError(
      `"ddcli ${row.name}" takes ${row.usage === "" ? "no arguments" : row.usage}`,
      `See "ddcli ${row.name} --help"`,
    );
  }
  const { main: command } = await row.load();
  return command(values as Parameters<typeof command>[0], operands, services);
}

function unknownCommand(name: string, { commands }: Services): Error {
  const names = commands.flatMap((row) => [row.name, ...(row.aliases ?? [])]);
  const near = closest(name, names);
  return usageError(
    `"${name}" is not a ddcli command`,
    near === undefined ? 'See "ddcli --help"' : `Did you mean "ddcli ${near}"?`,
  );
}

function print(text: (colour: boolean) => string): number {
  process.stdout.write(text(coloured(process.stdout)));
  return EXIT.ok;
}

/**
 * Tells the user what went wrong. Errors that carry a code are the operator's to solve: one line, and what
 * to do next. Anything else is a defect of dd.
 */
function report(error: unknown, row?: CommandRow): number {
  const colour = coloured(process.stderr);
  const { code, hint, exitCode, message, stack } = error as Error & {
    code?: unknown;
    hint?: string;
    exitCode?: number;
  };
  const defect = typeof code !== "string";
  process.stderr.write(
    `${paint("red", "ddcli:", colour)} ${defect ? `defect in dd: ${stack ?? String(error)}` : message}\n`,
  );
  if (hint !== undefined) process.stderr.write(`  ${hint}\n`);
  return exitCode ?? row?.failsWith ?? (row === undefined ? EXIT.dd : EXIT.failed);
}

/** Runs the program on this process's arguments and sets its exit code. */
export function main(services: Services): void {
  // "ddcli ps | head" closes our output early; that is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    throw error;
  });
  run(process.argv.slice(2), services).then(
    (exitCode) => {
      if (exitCode !== undefined) process.exitCode = exitCode;
    },
    (error: unknown) => {
      process.exitCode = report(error);
    },
  );
}
