import { EINVAL, Errno } from "../abi/errno.ts";
import { Timespec, Timeval } from "../abi/structs.ts";
import type { Task } from "../kernel/task.ts";

const NS_PER_S = 1_000_000_000n;
/** Longer times are as good as this one (292 years), and do not overflow 63 bits. */
const NS_MAX = (1n << 63n) - 1n;

/** A `struct timespec` as nanoseconds. @returns `EINVAL` for a negative time or a second that is too long. */
export function timespecToNs(time: {
  readonly sec: number;
  readonly nsec: number;
}): bigint | Errno {
  if (time.sec < 0 || time.nsec < 0 || time.nsec > 999_999_999) return EINVAL;
  const ns = BigInt(time.sec) * NS_PER_S + BigInt(time.nsec);
  return ns > NS_MAX ? NS_MAX : ns;
}

/** Nanoseconds as a `struct timespec`. */
export function nsToTimespec(ns: bigint): { readonly sec: number; readonly nsec: number } {
  return { sec: Number(ns / NS_PER_S), nsec: Number(ns % NS_PER_S) };
}

/** A `struct timeval` as nanoseconds. @returns `EINVAL` as {@link timespecToNs}. */
export function timevalToNs(time: { readonly sec: number; readonly usec: number }): bigint | Errno {
  if (time.usec < 0 || time.usec > 999_999) return EINVAL;
  return timespecToNs({ sec: time.sec, nsec: time.usec * 1000 });
}

/** Nanoseconds as a `struct timeval`. */
export function nsToTimeval(ns: bigint): { readonly sec: number; readonly usec: number } {
  return { sec: Number(ns / NS_PER_S), usec: Number((ns % NS_PER_S) / 1000n) };
}

/** The `struct timespec` at an address, in nanoseconds. @returns `EFAULT`, `EINVAL`. */
export function timespecAt(task: Task, at: number): bigint | Errno {
  const raw = task.memory.copyIn(at, Timespec.size);
  return raw instanceof Errno ? raw : timespecToNs(Timespec.parse(raw));
}

/** Stores a `struct timespec`. @returns `EFAULT`. */
export function storeTimespec(task: Task, at: number, ns: bigint): Errno | undefined {
  return task.memory.copyOut(at, Timespec.bytes(nsToTimespec(ns)));
}

/** Stores a `struct timeval`. @returns `EFAULT`. */
export function storeTimeval(task: Task, at: number, ns: bigint): Errno | undefined {
  return task.memory.copyOut(at, Timeval.bytes(nsToTimeval(ns)));
}
