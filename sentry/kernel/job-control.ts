import { bit, SIGCONT, SIGHUP } from "../abi/signal.ts";
import type { ControllingTerminal, JobControl } from "../fs/tty/job-control.ts";
import { CAP_SYS_ADMIN, isCapable } from "../vfs/credentials.ts";
import type { PidNamespace } from "./pid-namespace.ts";
import { sendToProcess } from "./send-signal.ts";
import type { ProcessGroup, Session } from "./session.ts";
import { fromKernel } from "./siginfo.ts";
import { Task } from "./task.ts";

/** Sessions and process groups as terminals see them. */
export class KernelJobControl implements JobControl {
  readonly #pids: PidNamespace;

  constructor(pids: PidNamespace) {
    this.#pids = pids;
  }

  session(caller: unknown): number {
    return taskOf(caller).process.session.sid;
  }

  group(caller: unknown): number {
    return taskOf(caller).process.group.pgid;
  }

  isSessionLeader(caller: unknown): boolean {
    const { process } = taskOf(caller);
    return process.session.leader === process;
  }

  terminal(caller: unknown): ControllingTerminal | undefined {
    return taskOf(caller).process.session.terminal;
  }

  setTerminal(session: number, terminal: ControllingTerminal | undefined): void {
    const found = this.#pids.session(session);
    if (found !== undefined) found.terminal = terminal;
  }

  sessionOf(group: number): number | undefined {
    return this.#pids.group(group)?.session.sid;
  }

  blocksOrIgnores(caller: unknown, signo: number): boolean {
    const task = taskOf(caller);
    return (task.signalMask & bit(signo)) !== 0n || task.process.actions.ignores(signo);
  }

  isOrphaned(group: number): boolean {
    return this.#pids.group(group)?.isOrphaned() ?? true;
  }

  mayStealTerminal(caller: unknown): boolean {
    return isCapable(taskOf(caller).credentials, CAP_SYS_ADMIN);
  }

  signalGroup(group: number, signo: number): void {
    const found = this.#pids.group(group);
    if (found !== undefined) signalGroup(found, signo);
  }

  signalSessionLeader(session: number, signo: number): void {
    const leader = this.#pids.session(session)?.leader;
    if (leader !== undefined) sendToProcess(leader, fromKernel(signo));
  }
}

function taskOf(caller: unknown): Task {
  if (!(caller instanceof Task)) throw new TypeError("Only tasks use terminals");
  return caller;
}

function signalGroup(group: ProcessGroup, signo: number): void {
  for (const member of [...group.members]) sendToProcess(member, fromKernel(signo));
}

/** The leader of a session has ended: its terminal is hung up, and the foreground group hears of it. */
export function hangUp(session: Session, pids: PidNamespace): void {
  const { terminal } = session;
  session.leader = undefined;
  if (terminal === undefined) return;
  const foreground = pids.group(terminal.foregroundGroup);
  if (foreground !== undefined) {
    signalGroup(foreground, SIGHUP);
    signalGroup(foreground, SIGCONT);
  }
  terminal.disassociate();
  session.terminal = undefined;
}
