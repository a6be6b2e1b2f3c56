/** The direct plane of trusted mode: see docs/trusted.md. */
import { EBADF, Errno } from "../abi/errno.ts";
import { BELL } from "../fs/event/epoll.ts";
import { call } from "../host/call.ts";
import { RLIMIT_FSIZE } from "../kernel/limits.ts";
import type { ExecutorMachine } from "./executor-machine.ts";
import type { ExecutorThread } from "./executor-thread.ts";
import { Verb } from "./protocol.ts";

const F_DUPFD_CLOEXEC = 1030;

/**
 * Lends a descriptor of ours to a thread that asks for what is behind its own, if nobody can tell who uses it.
 * The reply's operands: whether calls may wait on it, and what tells the bell of an epoll instance.
 */
export function lend(machine: ExecutorMachine, thread: ExecutorThread): void {
  const file = thread.task.files.get(thread.frame.u32(0));
  const limited = thread.task.process.limits.soft(RLIMIT_FSIZE) !== Number.POSITIVE_INFINITY;
  const lease = limited || file instanceof Errno ? undefined : file.lease();
  // The guest may close its descriptor before the thread has taken ours.
  const kept = lease === undefined ? EBADF : call("fcntl", lease.fd, F_DUPFD_CLOEXEC, 0);
  if (lease === undefined || kept instanceof Errno) {
    thread.answer(Verb.return, -1);
    return;
  }
  machine.promise(thread, kept);
  thread.answer(Verb.return, kept, [lease.waits ? 1 : 0, BELL]);
}
