/** The direct plane of trusted mode: see docs/trusted.md. */
import { Errno } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import { RLIMIT_FSIZE } from "../kernel/limits.ts";
import type { ExecutorMachine } from "./executor-machine.ts";
import type { ExecutorThread } from "./executor-thread.ts";
import { Verb } from "./protocol.ts";

const F_DUPFD_CLOEXEC = 1030;

/** Lends a descriptor of ours to a thread that asks for what is behind its own, if nobody can tell who uses it. */
export function lend(machine: ExecutorMachine, thread: ExecutorThread): void {
  const file = thread.task.files.get(thread.frame.u32(0));
  const backing = file instanceof Errno ? file : file.backing();
  const limited = thread.task.process.limits.soft(RLIMIT_FSIZE) !== Number.POSITIVE_INFINITY;
  if (limited || backing instanceof Errno || !backing.direct || backing.offset !== 0) {
    thread.answer(Verb.return, -1);
    return;
  }
  const kept = call("fcntl", backing.fd, F_DUPFD_CLOEXEC, 0);
  if (kept instanceof Errno) {
    thread.answer(Verb.return, -1);
    return;
  }
  machine.promise(thread, kept);
  thread.answer(Verb.return, kept);
}
