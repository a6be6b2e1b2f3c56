/**
 * The tests that are known to fail, each with its reason: test/known-failures.txt, one a line,
 * `TITLE ## REASON`. The list may only shrink: a listed test that passes is reported as a failure until its
 * line is removed (see `caseOf` in test/known.ts), and so is a line that names no test.
 */
import { readFileSync } from "node:fs";

export interface KnownFailure {
  readonly title: string;
  readonly reason: string;
}

/** Parses the list. @throws {Error} on a line without a reason. */
export function parseKnownFailures(text: string): KnownFailure[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("# "))
    .map((line) => {
      const [title, reason] = line.split(" ## ");
      if (title === undefined || reason === undefined || reason.trim() === "") {
        throw new Error(`A known failure needs a reason after " ## ": ${line}`);
      }
      return { title: title.trim(), reason: reason.trim() };
    });
}

/** The list of this tree. */
export function readKnownFailures(): KnownFailure[] {
  const path = new URL("../../../test/known-failures.txt", import.meta.url);
  return parseKnownFailures(readFileSync(path, "utf8"));
}
