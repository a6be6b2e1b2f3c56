import test from "ava";
import { readKnownFailures } from "../tools/known-failures.ts";

const known = new Set(readKnownFailures().map((entry) => entry.title));

/**
 * What declares a test of this title: `test`, or, when test/known-failures.txt lists it, `test.failing`, which
 * runs it and reports a failure once it passes. `test` may be the serial one.
 */
export function caseOf(title: string, declare: typeof test | typeof test.serial = test) {
  return known.has(title) ? declare.failing : declare;
}
