import { EXIT } from "./errors.ts";

/**
 * Does something to each of several objects the user named, like docker: a failure of one is reported and
 * the others still have their turn.
 * @param act the line to print for a success, if any.
 * @returns the exit code.
 */
export async function each(
  names: readonly string[],
  act: (name: string) => string | undefined | Promise<string | undefined>,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  for (const name of names) {
    try {
      const line = await act(name);
      if (line !== undefined) process.stdout.write(`${line}\n`);
    } catch (error) {
      const { code, hint, message } = error as Error & { code?: unknown; hint?: string };
      if (typeof code !== "string") throw error;
      process.stderr.write(`ddcli: ${message}\n${hint === undefined ? "" : `  ${hint}\n`}`);
      exitCode = EXIT.failed;
    }
  }
  return exitCode;
}
