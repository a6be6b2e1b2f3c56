import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";

const RLIMIT_DATA = 2;

/**
 * Bounds the private writable memory of host process `pid` and of everything it will fork, for good.
 * See RLIMIT_DATA in getrlimit(2).
 */
export function limitData(pid: number, bytes: number): Errno | undefined {
  const limit = BigUint64Array.of(BigInt(bytes), BigInt(bytes));
  const result = call("prlimit64", pid, RLIMIT_DATA, limit, null);
  return result instanceof Errno ? result : undefined;
}
