import { familiarName, parseReference, withDefaultTag } from "../../sentry/image/reference.ts";

/** Docker's `StrSlice`: a word stands for a list of one. Undefined where there was nothing. */
export function wordsOf(
  value: readonly string[] | string | null | undefined,
): string[] | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === "string" ? [value] : [...value];
}

/** A map of texts without the members that were null. */
export function textsOf(
  value: Readonly<Record<string, string | null>> | null | undefined,
): Record<string, string> {
  return Object.fromEntries(Object.entries(value ?? {}).map(([key, text]) => [key, text ?? ""]));
}

/** As docker names an image that is not there: with its tag. */
export function imageWithTag(name: string): string {
  try {
    return familiarName(withDefaultTag(parseReference(name)));
  } catch {
    return name;
  }
}
