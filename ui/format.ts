/** Numbers and times as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit]}`;
}

const STEPS: readonly (readonly [seconds: number, name: string])[] = [
  [365 * 86400, "years"],
  [30 * 86400, "months"],
  [86400, "days"],
  [3600, "hours"],
  [60, "minutes"],
  [1, "seconds"],
];

/** `5 minutes ago` for seconds since the epoch. */
export function ago(seconds: number): string {
  const age = Date.now() / 1000 - seconds;
  for (const [length, name] of STEPS) {
    const count = Math.floor(age / length);
    if (count >= 2) return `${count} ${name} ago`;
  }
  return "just now";
}

const ID_LENGTH = 12;

/** The part of an id that people use. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, ID_LENGTH);
}

const ESC = String.fromCharCode(0x1b);
const BEL = String.fromCharCode(0x07);
// Control sequences and strings of terminals: ECMA-48, section 5.4 and 5.6.
const SEQUENCES = new RegExp(
  `${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${ESC}${BEL}]*(?:${BEL}|${ESC}\\\\)?|[@-Z\\\\-_])?`,
  "g",
);

/** What a program printed, as text that cannot disguise itself. */
export function plain(text: string): string {
  return text
    .replaceAll(SEQUENCES, "")
    .replaceAll(/\p{Cc}|\p{Bidi_Control}/gu, (one) => (one === "\n" || one === "\t" ? one : ""));
}
