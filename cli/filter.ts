import { usageError } from "./errors.ts";

/** How a row answers one kind of filter: whether it matches the filter's value. */
export type Matchers<Item> = Readonly<Record<string, (item: Item, value: string) => boolean>>;

/**
 * Keeps what matches. Filters of one key are alternatives, different keys must all match, as docker does;
 * several labels must all match.
 * @throws {CliError} `USAGE` for a filter that is not KEY=VALUE or has an unknown key.
 */
export function applyFilters<Item>(
  items: readonly Item[],
  filters: readonly string[],
  matchers: Matchers<Item>,
): readonly Item[] {
  const wanted = new Map<string, string[]>();
  for (const filter of filters) {
    const equals = filter.indexOf("=");
    const key = filter.slice(0, Math.max(0, equals));
    if (equals < 1 || !Object.hasOwn(matchers, key)) {
      throw usageError(
        `invalid filter "${filter}"`,
        `Filters are KEY=VALUE with a key of: ${Object.keys(matchers).join(", ")}`,
      );
    }
    wanted.set(key, [...(wanted.get(key) ?? []), filter.slice(equals + 1)]);
  }
  return items.filter((item) =>
    [...wanted].every(([key, values]) => {
      const matches = (value: string) => matchers[key]?.(item, value) === true;
      return key === "label" ? values.every(matches) : values.some(matches);
    }),
  );
}

/** Whether `labels` has `wanted`, which is `key` or `key=value`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  if (equals < 0) return Object.hasOwn(labels, wanted);
  const key = wanted.slice(0, equals);
  return Object.hasOwn(labels, key) && labels[key] === wanted.slice(equals + 1);
}
