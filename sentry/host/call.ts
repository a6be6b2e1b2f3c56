import { native, type Register } from "../../ring/native.ts";
import { type Errno, errnoOf } from "../abi/errno.ts";
import { NUMBERS, type SyscallName } from "../abi/numbers.ts";

const column = process.arch === "arm64" ? 1 : 0;

/**
 * One host system call by name. The caller vouches for pointer arguments: each array must be as long
 * as the kernel may read or write.
 * @returns the non-negative result, or the host's error.
 */
export function call(name: SyscallName, ...registers: Register[]): number | Errno {
  const result = native.syscall(NUMBERS[name][column], ...registers);
  return result < 0 && result > -4096 ? errnoOf(-result) : result;
}
