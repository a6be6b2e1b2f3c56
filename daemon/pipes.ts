import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { Errno } from "../sentry/abi/errno.ts";
import { close, pipe } from "../sentry/host/io.ts";

/** A pipe from a container's process to the daemon. */
export interface OutputPipe {
  /** The daemon's end. */
  readonly stream: Readable & { destroy(): unknown };
  /** The process's end, until {@link closeAll}. */
  readonly fd: number;
}

export interface InputPipe {
  readonly stream: Writable & { destroy(): unknown };
  readonly fd: number;
}

/** @throws when the host has no descriptor left. */
export function outputPipe(): OutputPipe {
  const [ours, fd] = newPipe();
  const stream = new Socket({ fd: ours, readable: true, writable: false });
  // A reader's errors end its stream, which is all that can be said about them.
  stream.on("error", () => stream.destroy());
  return { stream, fd };
}

/** @throws when the host has no descriptor left. */
export function inputPipe(): InputPipe {
  const [fd, ours] = newPipe();
  const stream = new Socket({ fd: ours, readable: false, writable: true });
  // The process does not read any more.
  stream.on("error", () => stream.destroy());
  return { stream, fd };
}

/** Closes the processes' ends, once they have been handed over, or are not needed. */
export function closeAll(descriptors: readonly number[]): void {
  for (const fd of descriptors) close(fd);
}

function newPipe(): [readEnd: number, writeEnd: number] {
  const ends = pipe(0);
  if (ends instanceof Errno) throw new Error(`A pipe could not be made: ${ends.text}`);
  return ends;
}
