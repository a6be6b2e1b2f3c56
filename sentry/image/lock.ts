import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Errno } from "../abi/errno.ts";
import { type LockKind, tryFlock } from "../host/flock.ts";
import { ImageError } from "./errors.ts";

/** Between two looks at a lock that somebody else holds. */
const POLL_MS = 25;

/** A lock on a file of the store, held until `release`, or until the process ends however it does. */
export class FileLock {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Takes the lock if nobody is in the way. */
  static async try(path: string, kind: LockKind): Promise<FileLock | undefined> {
    // Not "w": a lock file is never truncated, made once and left in place.
    const file = await open(path, "a", 0o600);
    const locked = tryFlock(file.fd, kind);
    if (locked === true) return new FileLock(file);
    await file.close();
    if (locked instanceof Errno) throw new ImageError("STORE_IO", `${path}: ${locked.text}`);
    return undefined;
  }

  /** Takes the lock, waiting for others as long as it takes. `signal` ends the waiting. */
  static async acquire(path: string, kind: LockKind, signal?: AbortSignal): Promise<FileLock> {
    for (;;) {
      const lock = await FileLock.try(path, kind);
      if (lock !== undefined) return lock;
      if (signal?.aborted) throw new ImageError("ABORTED");
      await sleep(POLL_MS);
    }
  }

  async release(): Promise<void> {
    await this.#file.close();
  }
}
