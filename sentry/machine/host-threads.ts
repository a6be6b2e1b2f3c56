/** Who is who among the host's threads. See proc_pid_status(5). */
import { readdirSync, readFileSync } from "node:fs";
import { call } from "../host/call.ts";

/**
 * The host id, in the sentry's own pid namespace, of the thread of `pid` that is `inner` in its own one.
 * @returns undefined when there is none.
 */
export function findThread(pid: number, inner: number): number | undefined {
  try {
    for (const name of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${name}/status`, "latin1");
      const ids = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/);
      if (ids !== undefined && Number(ids[ids.length - 1]) === inner) return Number(name);
    }
  } catch {
    // The process is ending: it has no thread to find.
  }
  return undefined;
}

/** The process a host thread belongs to; undefined when it has ended. */
export function processOfThread(tid: number): number | undefined {
  try {
    const tgid = /^Tgid:\s+(\d+)$/m.exec(readFileSync(`/proc/${tid}/status`, "latin1"))?.[1];
    return tgid === undefined ? undefined : Number(tgid);
  } catch {
    return undefined;
  }
}

const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;
const WALL = 0x40000000;

/** Takes leave of a child of the sentry that has ended. */
export function reap(pidfd: number): void {
  call("waitid", P_PIDFD, pidfd, null, WEXITED | WNOHANG | WALL, null);
}
