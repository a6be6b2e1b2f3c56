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

/** A host process as its family sees it. */
export interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly zombie: boolean;
}

/** All host processes below `pid`. */
export function descendants(pid: number): HostProcess[] {
  const children = new Map<number, HostProcess[]>();
  for (const name of readdirSync("/proc")) {
    const fields = /^\d/.test(name) ? statFields(Number(name)) : undefined;
    if (fields === undefined) continue;
    const [state, parent] = fields;
    const siblings = children.get(Number(parent)) ?? [];
    siblings.push({ pid: Number(name), parent: Number(parent), zombie: state === "Z" });
    children.set(Number(parent), siblings);
  }
  const found = [...(children.get(pid) ?? [])];
  for (const member of found) found.push(...(children.get(member.pid) ?? []));
  return found;
}

/** `/proc/PID/stat` from the state on; undefined when there is no such process. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** The runtime's exit statuses above this name a signal; `kDeadBySignal` in guest/native. */
const DEAD_BY_SIGNAL = 128;
const LAST_SIGNAL = 64;

/** The signal that a wait status tells of; undefined when there is none. */
export function deathSignal(status: number): number | undefined {
  const signo = status & 0x7f || (status >>> 8) - DEAD_BY_SIGNAL;
  return signo > 0 && signo <= LAST_SIGNAL ? signo : undefined;
}

const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;
const WALL = 0x40000000;
const SIGINFO_SIZE = 128;
/** In `siginfo_t`: si_code and si_status. */
const SI_CODE = 8 / 4;
const SI_STATUS = 24 / 4;
const CLD_EXITED = 1;

/** Takes leave of a child of the sentry that has ended. @returns the signal that ended it, if one did. */
export function reap(pidfd: number): number | undefined {
  const info = new Int32Array(SIGINFO_SIZE / 4);
  call("waitid", P_PIDFD, pidfd, info, WEXITED | WNOHANG | WALL, null);
  const { [SI_CODE]: code, [SI_STATUS]: status = 0 } = info;
  return deathSignal(code === CLD_EXITED ? status << 8 : status);
}
