/**
 * The second run of the gate's failed cases. The machine may be shared with others, and what is starved of it can
 * fail without a defect. A case that fails and then passes by itself is *unsteady*: it counts as passed, but
 * nobody is to overlook it.
 */
import type { TapResult } from "./tap.ts";

/** What ava puts between the parts of a title. */
const SEPARATOR = " › ";

/** What ava begins titles with when it runs many files: the way to the file below test/. */
function prefixOf(file: string): string {
  const parts = file.replace(/^test\//, "").replace(/\.test\.ts$/, "");
  return `${parts.replaceAll("/", SEPARATOR)}${SEPARATOR}`;
}

/**
 * The file that a result belongs to; `undefined` when nothing in it says so.
 * @param files as `test/e2e/cli.test.ts`
 */
export function fileOf(result: TapResult, files: readonly string[]): string | undefined {
  return (
    files.find((file) => result.title.startsWith(prefixOf(file))) ??
    // What is told of a file and not of one of its cases: that it ended badly, and where.
    files.find((file) => result.title.includes(file) || result.text.includes(file))
  );
}

export interface Judgement {
  /** Each case once. */
  readonly results: readonly TapResult[];
  /** The failures of cases that have passed one of the two times. */
  readonly unsteady: readonly TapResult[];
}

/**
 * Puts the results of a second run in the place of a first one's failures.
 * @param second the results of each file that was run again by itself: its titles have no file's name in them.
 */
export function judge(
  first: readonly TapResult[],
  second: ReadonlyMap<string, readonly TapResult[]>,
): Judgement {
  const files = [...second.keys()];
  const again = new Map<string, TapResult>();
  for (const [file, results] of second) {
    for (const result of results) {
      const title = result.title.includes(file) ? result.title : prefixOf(file) + result.title;
      again.set(title, { ...result, title });
    }
  }
  const results: TapResult[] = [];
  const unsteady: TapResult[] = [];
  for (const result of first) {
    const now = again.get(result.title);
    again.delete(result.title);
    const file = fileOf(result, files);
    if (file === undefined || result.ok) {
      results.push(result);
      if (now?.ok === false) unsteady.push(now);
      continue;
    }
    // That a file ended badly, or a hook failed, is told of only where it is so.
    const passes = now?.ok ?? second.get(file)?.every(({ ok }) => ok) ?? false;
    if (!passes) {
      results.push(result);
      continue;
    }
    unsteady.push(result);
    if (now !== undefined) results.push(now);
  }
  // Cases that a file's bad end has kept from running the first time.
  results.push(...again.values());
  return { results, unsteady };
}
