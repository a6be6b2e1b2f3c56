import { readFileSync } from "node:fs";
import { usageError } from "./errors.ts";

/**
 * The variables of `--env-file` and `--env` as `NAME=value`, in the order in which later ones win.
 * `NAME` alone takes the value it has here, and is left out when it has none.
 * @throws {CliError} `USAGE` in docker's words; the error of open(2) for a file that cannot be read.
 */
export function readEnvironment(
  files: readonly string[],
  words: readonly string[],
  here: NodeJS.ProcessEnv,
): readonly string[] {
  const all = [...files.flatMap(readEnvFile), ...words];
  return all.flatMap((word) => {
    if (word === "" || word.startsWith("="))
      throw usageError(`invalid environment variable: ${word}`);
    if (word.includes("=")) return [word];
    const value = here[word];
    return value === undefined ? [] : [`${word}=${value}`];
  });
}

function readEnvFile(path: string): readonly string[] {
  const text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  return text.split(/\r?\n/).flatMap((whole) => {
    const line = whole.trimStart();
    if (line === "" || line.startsWith("#")) return [];
    const name = line.split("=", 1)[0] ?? "";
    if (name === "") throw usageError(`no variable name on line '${line}'`, `In ${path}`);
    if (/\s/.test(name)) throw usageError(`variable '${name}' contains whitespaces`, `In ${path}`);
    return [line];
  });
}
