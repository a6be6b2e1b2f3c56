/** RLIMIT_FSIZE: what a process may make of a file. See getrlimit(2). */
import { EFBIG, Errno } from "../abi/errno.ts";
import { O_APPEND, S_IFMT, S_IFREG, SEEK_CUR } from "../abi/file.ts";
import { SI_USER, SIGXFSZ } from "../abi/signal.ts";
import { RLIMIT_FSIZE } from "../kernel/limits.ts";
import { sendToTask } from "../kernel/send-signal.ts";
import { sentBy } from "../kernel/siginfo.ts";
import type { Task } from "../kernel/task.ts";
import type { OpenFile } from "../vfs/open-file.ts";

/** Tells the caller that its file would grow too large. @returns `EFBIG`. */
function exceeded(task: Task): Errno {
  sendToTask(task, sentBy(SIGXFSZ, SI_USER, task.process.pid, task.credentials.ruid));
  return EFBIG;
}

/**
 * How many of the `count` bytes that a call writes the limit leaves room for. Only regular files have one.
 * @param offset where it writes; undefined: where the file itself stands.
 * @returns `EFBIG` (and SIGXFSZ for the caller) when not even the first byte may be written.
 */
export function roomToWrite(
  task: Task,
  file: OpenFile,
  offset: number | undefined,
  count: number,
): number | Errno {
  const limit = task.process.limits.soft(RLIMIT_FSIZE);
  if (limit === Number.POSITIVE_INFINITY || count === 0) return count;
  const stat = file.stat();
  if (stat instanceof Errno || (stat.mode & S_IFMT) !== S_IFREG) return count;
  const appends = (file.flags & O_APPEND) !== 0;
  const start = appends ? stat.size : (offset ?? file.seek(0, SEEK_CUR));
  if (start instanceof Errno) return count;
  return start >= limit ? exceeded(task) : Math.min(count, limit - start);
}

/**
 * Whether a file of `size` bytes may get `length`: a file may always shrink.
 * @returns `EFBIG`, and SIGXFSZ for the caller.
 */
export function mayResize(task: Task, size: number, length: number): Errno | undefined {
  const limit = task.process.limits.soft(RLIMIT_FSIZE);
  return length > size && length > limit ? exceeded(task) : undefined;
}
