import { Errno } from "../../../sentry/abi/errno.ts";
import { HostBuffer } from "../../../sentry/vfs/host-buffer.ts";
import type { OpenFile } from "../../../sentry/vfs/open-file.ts";

export const ROOT_OWNER = { uid: 0, gid: 0 };

/** The value, or a failure of the test. */
export function must<T>(value: T | Errno): T {
  if (value instanceof Errno) throw new Error(`Unexpected ${value}`);
  return value;
}

/** Writes text to an open file. @returns the count, or the name of the errno. */
export function put(file: OpenFile, text: string): number | string {
  const result = file.write(HostBuffer.of(Buffer.from(text, "latin1")));
  return result instanceof Errno ? result.name : result;
}

/** Reads at most `length` bytes as text. @returns `!NAME` for an errno. */
export function get(file: OpenFile, length = 4096): string {
  const buffer = HostBuffer.allocate(length);
  const result = file.read(buffer);
  if (result instanceof Errno) return `!${result.name}`;
  return Buffer.from(buffer.take(result)).toString("latin1");
}
