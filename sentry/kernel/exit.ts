/** The end of threads and processes: _exit(2), and what the rest of the container sees of it. */
import {
  CLD_DUMPED,
  CLD_EXITED,
  CLD_KILLED,
  SA_NOCLDWAIT,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
} from "../abi/signal.ts";
import { POLLIN } from "../vfs/poll.ts";
import { exitGroup } from "./exit-group.ts";
import { hangUp } from "./job-control.ts";
import type { Process } from "./process.ts";
import { checkStopComplete, sendToProcess } from "./send-signal.ts";
import type { ProcessGroup } from "./session.ts";
import { childEvent, fromKernel, type Siginfo, sentBy } from "./siginfo.ts";
import type { Task } from "./task.ts";
import { addUsage } from "./usage.ts";

/** A thread ends; with the last one the process does. See _exit(2). @param code its exit code. */
export function exitTask(task: Task, code: number): void {
  const { process } = task;
  if (process.tasks.size === 1) {
    exitGroup(process, (code & 0xff) << 8);
    return;
  }
  task.exited = true;
  dropTask(task);
  task.thread?.exit();
  sendDeathSignals(task);
  checkStopComplete(process);
}

/** Takes a task that runs no more out of its process and frees what it holds. */
export function dropTask(task: Task): void {
  const { process, kernel } = task;
  task.exited = true;
  task.interruptCall();
  process.tasks.delete(task);
  task.files.leave();
  // The first thread's id is the process's: it stays taken until that is waited for.
  if (task !== process.leader) kernel.pids.removeTask(task.tid);
}

/** See PR_SET_PDEATHSIG: children are told when the very thread that made them ends. */
function sendDeathSignals(creator: Task): void {
  const heir = creator.process.anyTask;
  for (const child of creator.process.children) {
    if (child.creator !== creator) continue;
    child.creator = heir;
    sendDeathSignal(child, creator.process);
  }
}

function sendDeathSignal(child: Process, parent: Process): void {
  if (child.parentDeathSignal === 0) return;
  const uid = parent.credentials.ruid;
  sendToProcess(child, sentBy(child.parentDeathSignal, 0, parent.pid, uid));
}

/** The machine confirms that no thread of `process` runs any more. */
export function finishExit(process: Process): void {
  const { kernel } = process;
  if (process.state !== "running" && process.state !== "exiting") return;
  process.state = "exiting";
  for (const task of [...process.tasks]) dropTask(task);
  process.timers.cancelAll();
  process.ipc.end();
  // The leader's end hangs up the session's terminal.
  if (process.session.leader === process) hangUp(process.session, kernel.pids);
  hangUpOrphans(process.group, process.parent, process);
  reparentChildren(process);
  process.replaceProgram(undefined);
  process.state = "zombie";
  process.unreported = undefined;
  kernel.trace?.(`[${process.pid}] +++ ${describeStatus(process.exitStatus)} +++`);
  process.exitEvents.wake(POLLIN);
  if (process.isInit) endContainer(process);
  else announce(process);
  if (kernel.ending) endWhenEmpty(process);
}

function describeStatus(status: number): string {
  const signo = status & 0x7f;
  return signo === 0 ? `exited with ${status >>> 8}` : `killed by signal ${signo}`;
}

/** Tells the parent of a zombie, or reaps it if the parent does not want to know. */
export function announce(child: Process): void {
  const { parent } = child;
  if (parent === undefined) {
    reap(child);
    return;
  }
  const action = parent.actions.get(SIGCHLD);
  const unwanted =
    child.exitSignal === SIGCHLD &&
    (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0);
  if (child.exitSignal !== 0 && !(unwanted && action.handler === SIG_IGN)) {
    sendToProcess(parent, exitInfo(child, child.exitSignal));
  }
  // The parent may have waited for it on hearing the signal.
  if (unwanted && child.state === "zombie") reap(child);
  parent.childEvents.wake(POLLIN);
}

/** What SIGCHLD and waitid(2) say of a process that ended. */
export function exitInfo(child: Process, signo: number = SIGCHLD): Siginfo {
  const { exitStatus: status, credentials, usage, kernel } = child;
  const killer = status & 0x7f;
  const code = killer === 0 ? CLD_EXITED : status & 0x80 ? CLD_DUMPED : CLD_KILLED;
  const tickNs = 1_000_000_000n / BigInt(kernel.machine.auxv.clockTick);
  return childEvent(
    code,
    child.pid,
    credentials.ruid,
    killer === 0 ? status >>> 8 : killer,
    Number(usage.userNs / tickNs),
    Number(usage.systemNs / tickNs),
    signo,
  );
}

/** Removes a zombie: its parent knows now, or never will. */
export function reap(process: Process): void {
  const { kernel, parent, group, leader } = process;
  if (process.state !== "zombie") throw new Error("Only a zombie can be reaped");
  process.state = "dead";
  const used = addUsage(process.usage, process.childrenUsage);
  if (parent === undefined) kernel.pastUsage = addUsage(kernel.pastUsage, used);
  else parent.childrenUsage = addUsage(parent.childrenUsage, used);
  parent?.children.delete(process);
  leaveGroup(process, group);
  if (leader !== undefined) kernel.pids.removeTask(leader.tid);
  kernel.pids.removeProcess(process.pid);
}

/** Takes a process out of its group, which ends with its last member. */
export function leaveGroup(process: Process, group: ProcessGroup): void {
  group.members.delete(process);
  if (group.members.size === 0) process.kernel.pids.removeGroup(group);
}

/**
 * A group that loses its last link to another group of its session through this end gets SIGHUP and
 * SIGCONT if a member is stopped, as POSIX wants it: nobody else would ever continue it.
 * @param parent the upper end of the link: the group's own members do not count as one.
 */
function hangUpOrphans(group: ProcessGroup, parent: Process | undefined, ending: Process): void {
  if (parent === undefined || parent.group === group || parent.session !== group.session) return;
  if (!group.isOrphaned(ending) || !hasStopped(group, ending)) return;
  for (const member of [...group.members]) {
    if (member === ending) continue;
    sendToProcess(member, fromKernel(SIGHUP));
    sendToProcess(member, fromKernel(SIGCONT));
  }
}

function hasStopped(group: ProcessGroup, without: Process): boolean {
  for (const member of group.members) if (member !== without && member.stop?.complete) return true;
  return false;
}

/** Children go to the nearest living subreaper, or to pid 1. See PR_SET_CHILD_SUBREAPER. */
function reparentChildren(process: Process): void {
  const { kernel } = process;
  if (process.children.size === 0) return;
  const heir = findReaper(process);
  for (const child of [...process.children]) {
    process.children.delete(child);
    child.parent = heir;
    child.creator = heir?.anyTask;
    heir?.children.add(child);
    sendDeathSignal(child, process);
    child.exitSignal = SIGCHLD;
    if (child.state === "zombie" && !kernel.ending) announce(child);
    else hangUpOrphans(child.group, process, process);
  }
}

function findReaper(process: Process): Process | undefined {
  for (let ancestor = process.parent; ancestor !== undefined; ancestor = ancestor.parent) {
    if (ancestor.state === "running" && (ancestor.subreaper || ancestor.isInit)) return ancestor;
  }
  const { init } = process.kernel;
  return init === process || init?.state !== "running" ? undefined : init;
}

/** The container ends with its first process: everything else is killed. */
function endContainer(init: Process): void {
  const { kernel } = init;
  kernel.ending = true;
  for (const other of kernel.pids.processes()) {
    if (other !== init && other.state === "running") exitGroup(other, SIGKILL);
  }
}

function endWhenEmpty(last: Process): void {
  const { kernel } = last;
  const { init } = kernel;
  if (init === undefined || init.state !== "zombie") return;
  for (const other of kernel.pids.processes()) {
    if (other.state === "running" || other.state === "exiting") return;
  }
  for (const zombie of kernel.pids.processes()) if (zombie.state === "zombie") reap(zombie);
  kernel.end(init.exitStatus);
}
