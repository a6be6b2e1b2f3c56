import { usageError } from "./errors.ts";

/** A line of a listing: what each field shows, by docker's field names. */
export type Row = Readonly<Record<string, string>>;

/** A column of the table: which field, below which heading. */
export type Columns = readonly (readonly [heading: string, field: string])[];

export interface Format {
  readonly format: string | undefined;
  readonly json: boolean;
}

/** Prints a listing as the user asked: a table, JSON lines, or one line by template per row. */
export function printRows(rows: readonly Row[], columns: Columns, format: Format): void {
  const text = formatRows(rows, columns, format);
  if (text !== "") process.stdout.write(`${text}\n`);
}

/** The listing as text without the last newline. */
export function formatRows(rows: readonly Row[], columns: Columns, format: Format): string {
  const kind = format.json ? "json" : (format.format ?? "table");
  if (kind === "json") return rows.map((row) => JSON.stringify(row)).join("\n");
  if (kind !== "table") return rows.map((row) => fillTemplate(kind, row)).join("\n");
  const cells = [
    columns.map(([heading]) => heading),
    ...rows.map((row) => columns.map(([, field]) => row[field] ?? "")),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd((widths[i] ?? 0) + 3))
        .join("")
        .trimEnd(),
    )
    .join("\n");
}

/** Prints one object: `table` by `text`, JSON, or a template. */
export function printValue(value: unknown, format: Format, text: () => string): void {
  const kind = format.json ? "json" : (format.format ?? "table");
  const printed =
    kind === "table" ? text() : kind === "json" ? JSON.stringify(value) : fillTemplate(kind, value);
  process.stdout.write(`${printed}\n`);
}

/**
 * Replaces `{{.Field}}`, `{{.Field.Inner}}`, `{{json .Field}}` and `{{json .}}`: the part of Go's templates
 * that docker's users type.
 * @throws {CliError} `USAGE` for anything else between the braces, or an unknown field.
 */
export function fillTemplate(template: string, value: unknown): string {
  return template
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n")
    .replace(/\{\{(.*?)\}\}/g, (_, body: string) => {
      const match = /^\s*(json\s+)?\.((?:[A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)*)?\s*$/.exec(body);
      if (match === null) {
        throw usageError(
          `template "{{${body}}}" is not understood`,
          "Use {{.Field}}, {{.Field.Inner}} or {{json .Field}}",
        );
      }
      const found = (match[2]?.split(".") ?? []).reduce<unknown>((object, key) => {
        if (typeof object !== "object" || object === null || !Object.hasOwn(object, key)) {
          throw usageError(
            `there is no field "${key}" for the template`,
            'See all fields with "--format json"',
          );
        }
        return (object as Record<string, unknown>)[key];
      }, value);
      return match[1] !== undefined || typeof found === "object"
        ? JSON.stringify(found)
        : String(found);
    });
}

const UNITS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 7],
  ["week", 4.35],
  ["month", 12],
  ["year", Number.POSITIVE_INFINITY],
] as const;

/** A span of time in words: "3 minutes". */
export function duration(ms: number): string {
  let amount = Math.max(0, ms / 1000);
  if (amount < 1) return "Less than a second";
  for (const [unit, size] of UNITS) {
    if (amount < size) {
      const whole = Math.floor(amount);
      return `${whole} ${unit}${whole === 1 ? "" : "s"}`;
    }
    amount /= size;
  }
  return "";
}

/** A number of bytes in decimal units, as docker shows sizes: "74.8MB". */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? amount : Number(amount.toPrecision(3))}${units[unit]}`;
}
