import { BuildError } from "../builder/errors.ts";
import { CliError } from "./errors.ts";

/** Lines of the Dockerfile that are shown around the one that an error is about. */
const AROUND = 2;

/** An error of a build with the place in the Dockerfile that it is about. */
export function describeBuildError(error: unknown, dockerfile: Uint8Array, name: string): unknown {
  if (!(error instanceof BuildError)) return error;
  const { range, code, message } = error;
  if (range === undefined || range.start < 1) return new CliError(code, message, { cause: error });
  const lines = Buffer.from(dockerfile).toString("utf8").split("\n");
  const first = Math.max(1, range.start - AROUND);
  const last = Math.min(lines.length, range.end + AROUND);
  const shown = lines.slice(first - 1, last).map((line, i) => {
    const number = first + i;
    const mark = number >= range.start && number <= range.end ? ">>>" : "   ";
    return `  ${String(number).padStart(3)} | ${mark} ${line}`;
  });
  const place = [`${name}:${range.start}`, "-----", ...shown, "-----"].join("\n");
  return new CliError(code, `${message}\n${place}`, { cause: error });
}
