import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";

const SIZE_OF_TIMESPEC = 16;
const NS_PER_S = 1_000_000_000n;
// Outside V8's young generation: the host writes into it.
const timespec = Buffer.allocUnsafeSlow(4096).subarray(0, SIZE_OF_TIMESPEC);

function read(name: "clock_gettime" | "clock_getres", clock: number): bigint {
  const error = call(name, clock, timespec);
  if (error instanceof Errno) throw new Error(`The host has no clock ${clock}: ${error}`);
  return timespec.readBigInt64LE(0) * NS_PER_S + timespec.readBigInt64LE(8);
}

/** One of the host's clocks, in nanoseconds. @param clock a CLOCK_* that every Linux has. */
export function clockGettime(clock: number): bigint {
  return read("clock_gettime", clock);
}

/** The resolution of one of the host's clocks, in nanoseconds. */
export function clockGetres(clock: number): bigint {
  return read("clock_getres", clock);
}
