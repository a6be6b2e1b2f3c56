import { usageError } from "./errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/**
 * A number of bytes as docker takes it: `512m`, `1.5g`, `64KiB`, `1000`.
 * @throws {CliError} `USAGE`; `what` says what the number is for.
 */
export function parseBytes(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([bkmgt]?)(?:i?b)?$/i.exec(text);
  const bytes = Number(match?.[1]) * (UNITS[match?.[2]?.toLowerCase() ?? ""] ?? Number.NaN);
  if (!Number.isSafeInteger(Math.floor(bytes))) {
    throw usageError(
      `invalid size "${text}" for ${what}`,
      "Sizes are numbers with b, k, m or g: 512m",
    );
  }
  return Math.floor(bytes);
}

/** A whole number between bounds. @throws {CliError} `USAGE`. */
export function parseCount(text: string, what: string, min: number, max: number): number {
  const count = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) throw usageError(`invalid number "${text}" for ${what}`);
  return count;
}
