import { CAP_SYS_PTRACE, isCapable } from "../../vfs/credentials.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import type { ProcessInfo } from "./info.ts";

/**
 * Whether the actor may look into the process: its own, one of the same user and group throughout, or with
 * CAP_SYS_PTRACE. See PTRACE_MODE_READ_FSCREDS in ptrace(2).
 */
export function mayInspect(actor: Actor, process: ProcessInfo): boolean {
  if (actor.process.pid === process.pid) return true;
  const { fsuid, fsgid } = actor.credentials;
  const who = process.tasks[0]?.credentials;
  const same =
    who !== undefined &&
    [who.ruid, who.euid, who.suid].every((uid) => uid === fsuid) &&
    [who.rgid, who.egid, who.sgid].every((gid) => gid === fsgid);
  return same || isCapable(actor.credentials, CAP_SYS_PTRACE);
}
