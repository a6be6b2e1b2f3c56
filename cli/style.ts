import type { WriteStream } from "node:tty";

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** Whether to colour what goes to `stream`: a terminal, unless the user set NO_COLOR. See no-color.org. */
export function coloured(stream: Pick<WriteStream, "isTTY">): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb";
}

/** `text` in a style when `on`. */
export function paint(style: keyof typeof CODES, text: string, on: boolean): string {
  return on ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}
