import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";

/** The files of the page, as `build:ui` has made them, and their media types. */
const FILES: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "app.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "terminal.css": "text/css; charset=utf-8",
};
const NONCE_BYTES = 16;

/** Headers of every answer of the dashboard's listener: nothing is kept, framed, or taken for something else. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** Only what the page brings along itself; a nonce for the terminal's style elements. */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** @returns whether `path` is one of the page's files and is there, and is then the answer. */
export function servePage(directory: string, path: string, response: ServerResponse): boolean {
  const name = path === "/" ? "index.html" : path.slice(1);
  const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (type === undefined) return false;
  const nonce = randomBytes(NONCE_BYTES).toString("base64");
  const file = join(directory, name);
  if (!existsSync(file)) return false;
  let content: string | Buffer = readFileSync(file);
  if (name === "index.html") content = content.toString("utf8").replaceAll('"NONCE"', `"${nonce}"`);
  response.writeHead(200, {
    ...SAFE_HEADERS,
    "Content-Type": type,
    "Content-Security-Policy": policy(nonce),
  });
  response.end(content);
  return true;
}
