import type { ImageFilters } from "../sentry/image/image-filter.ts";
import { usageError } from "./errors.ts";

/**
 * Filters of images, as KEY=VALUE.
 * @throws {CliError} `USAGE` for one that is not of that form; which keys there are, the store says.
 */
export function filtersOf(filters: readonly string[]): ImageFilters {
  const found: Record<string, string[]> = {};
  for (const filter of filters) {
    const [, key = "", value = ""] = /^([^=]+?)=(.*)$/s.exec(filter) ?? [];
    if (key === "") throw usageError(`invalid filter "${filter}"`, "Filters are KEY=VALUE");
    found[key] = [...(found[key] ?? []), value];
  }
  return found;
}
