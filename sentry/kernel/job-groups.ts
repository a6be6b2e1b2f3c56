/** Moving processes between groups and sessions: setpgid(2), setsid(2). */
import { EACCES, EINVAL, EPERM, type Errno, ESRCH } from "../abi/errno.ts";
import { leaveGroup } from "./exit.ts";
import type { Process } from "./process.ts";
import { ProcessGroup, Session } from "./session.ts";

/** See setpgid(2). @param pid, pgid 0 as the call has it. @returns `EINVAL`, `ESRCH`, `EACCES`, `EPERM`. */
export function setpgid(caller: Process, pid: number, pgid: number): Errno | undefined {
  if (pgid < 0) return EINVAL;
  const { pids } = caller.kernel;
  const target = pid === 0 ? caller : pids.process(pid);
  if (target === undefined || (target !== caller && target.parent !== caller)) return ESRCH;
  if (target !== caller) {
    if (target.session !== caller.session) return EPERM;
    if (target.executed) return EACCES;
  }
  if (target.session.leader === target) return EPERM;
  const wanted = pgid === 0 ? target.pid : pgid;
  let group = pids.group(wanted);
  if (group === undefined) {
    if (wanted !== target.pid) return EPERM;
    group = new ProcessGroup(wanted, target.session);
    pids.addGroup(group);
  }
  if (group.session !== target.session) return EPERM;
  moveTo(target, group);
  return undefined;
}

/** See setsid(2). @returns the session's id, or `EPERM` when a group has the process's id already. */
export function setsid(process: Process): number | Errno {
  const { pids } = process.kernel;
  if (pids.group(process.pid) !== undefined) return EPERM;
  const group = new ProcessGroup(process.pid, new Session(process));
  pids.addGroup(group);
  moveTo(process, group);
  return process.pid;
}

function moveTo(process: Process, group: ProcessGroup): void {
  const old = process.group;
  if (old === group) return;
  process.group = group;
  group.members.add(process);
  leaveGroup(process, old);
}
