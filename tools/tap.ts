/** Reads the Test Anything Protocol as ava writes it (https://testanything.org, version 13). */

/** One test's result. */
export interface TapResult {
  readonly title: string;
  readonly ok: boolean;
  /** The line and its block of details. */
  readonly text: string;
}

const RESULT = /^(not )?ok \d+ - (.*?)(?: # (?:SKIP|TODO).*)?$/;

/** The results in a TAP stream, in order. Lines that are no results belong to the result before them. */
export function readTap(stream: string): TapResult[] {
  const results: { title: string; ok: boolean; lines: string[] }[] = [];
  for (const line of stream.split("\n")) {
    const match = RESULT.exec(line);
    if (match !== null) {
      const title = (match[2] as string).replaceAll("\\#", "#");
      results.push({ title, ok: match[1] === undefined, lines: [line] });
    } else if (line.startsWith("  ")) {
      results.at(-1)?.lines.push(line);
    }
  }
  return results.map(({ title, ok, lines }) => ({ title, ok, text: lines.join("\n") }));
}
