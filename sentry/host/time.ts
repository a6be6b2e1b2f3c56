/** Timer descriptors and clocks of the host. */
import { Errno } from "../abi/errno.ts";
import { Itimerspec, Timespec } from "../abi/structs.ts";
import { call } from "./call.ts";
import { HostMemory } from "./memory.ts";

const TFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

/** A `struct itimerspec`, as {@link Itimerspec} decodes it. */
export type TimerSetting = ReturnType<typeof Itimerspec.parse>;

const previous = new HostMemory(Itimerspec.size);

/** See timerfd_create(2). The descriptor is nonblocking. */
export function timerfdCreate(clock: number): number | Errno {
  return call("timerfd_create", clock, TFD_NONBLOCK_CLOEXEC);
}

/** See timerfd_settime(2). @returns what was set before. */
export function timerfdSet(fd: number, flags: number, value: TimerSetting): TimerSetting | Errno {
  const result = call("timerfd_settime", fd, flags, Itimerspec.bytes(value), previous.bytes);
  return result instanceof Errno ? result : Itimerspec.parse(previous.bytes);
}

/** See timerfd_gettime(2). */
export function timerfdGet(fd: number): TimerSetting | Errno {
  const result = call("timerfd_gettime", fd, previous.bytes);
  return result instanceof Errno ? result : Itimerspec.parse(previous.bytes);
}

/** See clock_gettime(2), in nanoseconds. */
export function clockNow(clock: number): bigint | Errno {
  const result = call("clock_gettime", clock, previous.bytes);
  if (result instanceof Errno) return result;
  const { sec, nsec } = Timespec.parse(previous.bytes);
  return BigInt(sec) * 1_000_000_000n + BigInt(nsec);
}
