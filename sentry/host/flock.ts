import { EAGAIN, type Errno } from "../abi/errno.ts";
import { call } from "./call.ts";

/** How a file is locked: with others that say the same, or alone. */
export type LockKind = "shared" | "exclusive";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks the open file `fd` without waiting, or changes its lock; closing the descriptor unlocks it,
 * and so does the end of the process. See flock(2).
 * @returns true, or false where somebody else holds a lock that excludes this one
 */
export function tryFlock(fd: number, kind: LockKind): boolean | Errno {
  const result = call("flock", fd, (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB);
  if (typeof result === "number") return true;
  return result === EAGAIN ? false : result;
}
