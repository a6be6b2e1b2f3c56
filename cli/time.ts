import { usageError } from "./errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A point in time as docker takes it: RFC 3339, a date, a Unix time with or without a fraction, or a span
 * before now such as `10m` or `1h30m`.
 * @returns milliseconds since the epoch.
 * @throws {CliError} `USAGE`.
 */
export function parseTime(text: string, now: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (/^(\d+(\.\d+)?[smh])+$/.test(text)) {
    const span = [...text.matchAll(/(\d+(?:\.\d+)?)([smh])/g)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? 0),
      0,
    );
    return now - span;
  }
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    throw usageError(
      `invalid time "${text}"`,
      "Use 2026-01-31T12:00:00Z, a Unix time, or a span before now such as 10m",
    );
  }
  return time;
}
