import { usageError } from "./errors.ts";

/** `KEY=VALUE` words as a record; a word without `=` has an empty value, as docker. */
export function parseLabels(words: readonly string[]): Readonly<Record<string, string>> {
  const labels = new Map<string, string>();
  for (const word of words) {
    const [key = "", ...rest] = word.split("=");
    if (key === "") throw usageError(`invalid label "${word}": it has no key`);
    labels.set(key, rest.join("="));
  }
  return Object.fromEntries(labels);
}
