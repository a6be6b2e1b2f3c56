import { bashCompletion } from "../completion.ts";
import { EXIT, usageError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { COMPLETION_OPTIONS } from "../options.ts";
import type { Services } from "../services.ts";

export function main(
  _values: Values<typeof COMPLETION_OPTIONS>,
  operands: readonly string[],
  { commands }: Services,
): number {
  if (operands[0] !== "bash") {
    throw usageError(
      `there is no completion for the shell "${operands[0]}"`,
      "There is one for bash",
    );
  }
  process.stdout.write(bashCompletion(commands));
  return EXIT.ok;
}
