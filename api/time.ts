import { ApiError } from "./errors.ts";

/** Seconds with up to nine digits of a fraction, as docker's CLI sends every time. */
const SECONDS = /^(-?\d{1,12})(?:\.(\d{1,9}))?$/;
const SPAN = /^(?:\d+(?:\.\d+)?(?:ms|[smh]))+$/;
const SPAN_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const RFC3339 = /^\d{4}-\d\d-\d\dT/;

/**
 * A time of a query.
 * @returns milliseconds since the epoch, with a fraction; undefined for nothing and for 0.
 * @throws {ApiError} `INVALID`.
 */
export function parseTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "" || text === "0") return undefined;
  const match = SECONDS.exec(text);
  if (match !== null) {
    const ms = Number(match[1]) * 1000 + Number(`0.${match[2] ?? "0"}`) * 1000;
    return ms === 0 ? undefined : ms;
  }
  const parsed = RFC3339.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(parsed)) return parsed;
  throw new ApiError("INVALID", `invalid value for "${name}": ${JSON.stringify(text)}`);
}

/**
 * A time of a filter: as {@link parseTime}, or a span before now such as `24h` or `1h30m`.
 * @returns milliseconds since the epoch.
 */
export function parseMoment(name: string, text: string): number {
  if (!SPAN.test(text)) return parseTime(name, text) ?? 0;
  const spans = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smh])/g)];
  return spans.reduce((time, [, count, unit = ""]) => {
    return time - Number(count) * (SPAN_UNITS_MS[unit] ?? 0);
  }, Date.now());
}
