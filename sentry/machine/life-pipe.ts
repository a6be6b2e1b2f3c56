import { Errno } from "../abi/errno.ts";
import { call } from "../host/call.ts";

const O_CLOEXEC = 0o2000000;

/**
 * A pipe by whose closing executors in trusted mode learn that the sentry has ended.
 * @throws Error when the host has no descriptor left.
 */
export function lifePipe(): { readonly read: number; readonly write: number } {
  const fds = new Int32Array(2);
  const error = call("pipe2", fds, O_CLOEXEC);
  if (error instanceof Errno) throw new Error(`pipe: ${error}`);
  return { read: fds[0] as number, write: fds[1] as number };
}
