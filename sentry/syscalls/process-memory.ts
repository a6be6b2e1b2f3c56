/** One process's bytes copied to or from another's: process_vm_readv(2). */
import { EFAULT, EINVAL, EPERM, Errno, ESRCH } from "../abi/errno.ts";
import { Iovec } from "../abi/structs.ts";
import type { GuestMemory } from "../kernel/memory.ts";
import type { Task } from "../kernel/task.ts";
import { addr, int, size, uint } from "./args.ts";
import { type Syscall, syscall } from "./define.ts";
import { mayInspect } from "./system.ts";
import { IOV_MAX } from "./transfer.ts";

/** What is copied at once, and what one call copies at most; more is a short transfer. */
const CHUNK = 1 << 20;
const TRANSFER_MAX = 64 << 20;

/** A part of an address space. */
interface Range {
  readonly base: number;
  readonly length: number;
}

function ranges(memory: GuestMemory, at: number, count: number): readonly Range[] | Errno {
  if (count > IOV_MAX) return EINVAL;
  const raw = memory.copyIn(at, count * Iovec.size);
  if (raw instanceof Errno) return raw;
  const list = Array.from({ length: count }, (_, i) => Iovec.parse(raw.subarray(i * Iovec.size)));
  const total = list.reduce((sum, { len }) => sum + len, 0);
  if (total > Number.MAX_SAFE_INTEGER) return EINVAL;
  return list.map(({ base, len }) => ({ base, length: len })).filter(({ length }) => length > 0);
}

/** Copies as far as both sides go. @returns the count, or `EFAULT` when not even the first piece could be. */
function copy(
  from: { readonly memory: GuestMemory; readonly ranges: readonly Range[] },
  to: { readonly memory: GuestMemory; readonly ranges: readonly Range[] },
): number | Errno {
  let done = 0;
  let source = 0;
  let sink = 0;
  let [sourceAt, sinkAt] = [0, 0];
  while (done < TRANSFER_MAX) {
    const a = from.ranges[source];
    const b = to.ranges[sink];
    if (a === undefined || b === undefined) break;
    const length = Math.min(a.length - sourceAt, b.length - sinkAt, CHUNK);
    const bytes = from.memory.copyIn(a.base + sourceAt, length);
    if (bytes instanceof Errno) return done === 0 ? EFAULT : done;
    if (to.memory.copyOut(b.base + sinkAt, bytes) !== undefined) return done === 0 ? EFAULT : done;
    done += length;
    sourceAt += length;
    sinkAt += length;
    if (sourceAt === a.length) [source, sourceAt] = [source + 1, 0];
    if (sinkAt === b.length) [sink, sinkAt] = [sink + 1, 0];
  }
  return done;
}

/** The memory of process or thread `pid`. @returns `ESRCH`, `EPERM`. */
function memoryOf(task: Task, pid: number): GuestMemory | Errno {
  const target = task.kernel.pids.task(pid) ?? task.kernel.pids.process(pid)?.anyTask;
  if (target?.thread === undefined || target.exited) return ESRCH;
  return mayInspect(task, target.process) ? target.memory : EPERM;
}

function processMemoryCall(name: "process_vm_readv" | "process_vm_writev"): Syscall {
  return syscall(name, {
    support: { partial: "at most 64 MiB in one call" },
    args: { pid: int, lvec: addr, liovcnt: size, rvec: addr, riovcnt: size, flags: uint },
    run(task, { pid, lvec, liovcnt, rvec, riovcnt, flags }) {
      if (flags !== 0) return EINVAL;
      const local = ranges(task.memory, lvec, liovcnt);
      if (local instanceof Errno) return local;
      const remote = ranges(task.memory, rvec, riovcnt);
      if (remote instanceof Errno) return remote;
      if (local.length === 0 || remote.length === 0) return 0;
      const memory = memoryOf(task, pid);
      if (memory instanceof Errno) return memory;
      const here = { memory: task.memory, ranges: local };
      const there = { memory, ranges: remote };
      return name === "process_vm_readv" ? copy(there, here) : copy(here, there);
    },
  });
}

export const PROCESS_MEMORY: readonly Syscall[] = [
  processMemoryCall("process_vm_readv"),
  processMemoryCall("process_vm_writev"),
];
