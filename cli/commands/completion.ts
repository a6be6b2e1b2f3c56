import type { CommandRow } from "../command.ts";
import { bashCompletion } from "../completion.ts";
import { EXIT, usageError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { COMPLETION_OPTIONS } from "../options.ts";

export function main(
  _values: Values<typeof COMPLETION_OPTIONS>,
  operands: readonly string[],
  table: readonly CommandRow[],
): number {
  if (operands[0] !== "bash") {
    throw usageError(
      `there is no completion for the shell "${operands[0]}"`,
      "There is one for bash",
    );
  }
  process.stdout.write(bashCompletion(table));
  return EXIT.ok;
}
