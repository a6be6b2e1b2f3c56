/** Waiting for children: wait4(2), waitid(2). */
import { EAGAIN, ECHILD, type Errno } from "../abi/errno.ts";
import { CLD_CONTINUED, CLD_STOPPED, SIGCHLD, SIGCONT } from "../abi/signal.ts";
import { exitInfo, reap } from "./exit.ts";
import type { Process } from "./process.ts";
import { childEvent, type Siginfo } from "./siginfo.ts";
import type { Task } from "./task.ts";
import { addUsage, type Usage } from "./usage.ts";

export const WNOHANG = 1;
export const WUNTRACED = 2;
/** waitid(2)'s name of WUNTRACED. */
export const WSTOPPED = 2;
export const WEXITED = 4;
export const WCONTINUED = 8;
export const WNOWAIT = 0x0100_0000;
export const __WNOTHREAD = 0x2000_0000;
export const __WALL = 0x4000_0000;
export const __WCLONE = 0x8000_0000;

/** Which children are waited for. */
export type WaitTarget =
  | { readonly kind: "all" }
  | { readonly kind: "process"; readonly process: Process | undefined }
  | { readonly kind: "group"; readonly pgid: number };

/** What was learnt of a child. */
export interface ChildReport {
  readonly pid: number;
  /** The status of wait(2). */
  readonly status: number;
  readonly info: Siginfo;
  readonly usage: Usage;
}

/**
 * Looks for a child whose state has changed as `options` want to know (WEXITED and so on), and takes note
 * that it was told, unless WNOWAIT.
 * @returns `EAGAIN` when there are such children but nothing has changed, `ECHILD` when there are none.
 */
export function waitForChild(
  caller: Task,
  target: WaitTarget,
  options: number,
): ChildReport | Errno {
  let candidates = false;
  for (const child of caller.process.children) {
    if (!matches(child, target) || !eligible(child, caller, options)) continue;
    const report = look(child, options);
    if (report !== undefined) return report;
    candidates = true;
  }
  return candidates ? EAGAIN : ECHILD;
}

function matches(child: Process, target: WaitTarget): boolean {
  switch (target.kind) {
    case "all":
      return true;
    case "process":
      return child === target.process;
    case "group":
      return child.group.pgid === target.pgid;
  }
}

function eligible(child: Process, caller: Task, options: number): boolean {
  if (options & __WNOTHREAD && child.creator !== caller) return false;
  if (options & __WALL) return true;
  // A "clone" child announces its end with another signal than SIGCHLD, or with none.
  return (child.exitSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}

function look(child: Process, options: number): ChildReport | undefined {
  const keep = (options & WNOWAIT) !== 0;
  const { pid, unreported, exitStatus, kernel } = child;
  if (child.state === "zombie") {
    if (!(options & WEXITED)) return undefined;
    const info = exitInfo(child);
    const usage = addUsage(child.usage, child.childrenUsage);
    if (!keep) reap(child);
    return { pid, status: exitStatus, info, usage };
  }
  if (child.state !== "running" || unreported === undefined) return undefined;
  const { ruid } = child.credentials;
  const usage = kernel.machine.usage?.(child) ?? child.usage;
  if (unreported === "continued") {
    if (!(options & WCONTINUED)) return undefined;
    if (!keep) child.unreported = undefined;
    const info = childEvent(CLD_CONTINUED, pid, ruid, SIGCONT);
    return { pid, status: 0xffff, info, usage };
  }
  if (!(options & WSTOPPED)) return undefined;
  if (!keep) child.unreported = undefined;
  const { stopped } = unreported;
  return {
    pid,
    status: (stopped << 8) | 0x7f,
    info: childEvent(CLD_STOPPED, pid, ruid, stopped),
    usage,
  };
}
