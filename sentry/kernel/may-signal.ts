import { EPERM, type Errno } from "../abi/errno.ts";
import { SIGCONT } from "../abi/signal.ts";
import { CAP_KILL, isCapable } from "../vfs/credentials.ts";
import type { Process } from "./process.ts";
import type { Task } from "./task.ts";

/**
 * Whether `sender` may send `signo` (0: only ask) to a process; see kill(2).
 * @returns `EPERM` if not.
 */
export function maySignal(sender: Task, target: Process, signo: number): Errno | undefined {
  if (sender.process === target) return undefined;
  const { credentials } = sender;
  const { ruid, suid } = target.credentials;
  const { ruid: own, euid } = credentials;
  if (euid === suid || euid === ruid || own === suid || own === ruid) return undefined;
  if (isCapable(credentials, CAP_KILL)) return undefined;
  return signo === SIGCONT && sender.process.session === target.session ? undefined : EPERM;
}
