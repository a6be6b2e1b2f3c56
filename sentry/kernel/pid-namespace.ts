import { EAGAIN, type Errno } from "../abi/errno.ts";
import type { Process } from "./process.ts";
import type { ProcessGroup, Session } from "./session.ts";
import type { Task } from "./task.ts";

/** Ids are below this: `kernel.pid_max` of a 64-bit Linux. */
export const PID_MAX = 1 << 22;
/** After a wrap, ids below are left to the system's first processes, as Linux does. */
const RESERVED_PIDS = 300;

/** Everything that keeps a number in use. A process keeps its pid until it is waited for. */
interface Id {
  task: Task | undefined;
  process: Process | undefined;
  group: ProcessGroup | undefined;
  session: Session | undefined;
}

/** The ids of one container's tasks, processes, groups and sessions: pid_namespaces(7). */
export class PidNamespace {
  readonly #ids = new Map<number, Id>();
  /** How many tasks there may be at a time (`--pids-limit`). */
  maxTasks: number;
  readonly #maxPid: number;
  #last = 0;
  #tasks = 0;

  /** @param maxTasks how many tasks there may be at a time (`--pids-limit`). */
  constructor(maxTasks: number = Number.POSITIVE_INFINITY, maxPid: number = PID_MAX) {
    this.maxTasks = maxTasks;
    this.#maxPid = maxPid;
  }

  /** How many tasks there are, zombies included. */
  get taskCount(): number {
    return this.#tasks;
  }

  /** The id given out last, as /proc/loadavg shows it. */
  get last(): number {
    return this.#last;
  }

  /** @returns an unused id, or `EAGAIN` at the limit of tasks or when all ids are taken. */
  allocate(): number | Errno {
    if (this.#tasks >= this.maxTasks || this.#ids.size >= this.#maxPid - RESERVED_PIDS)
      return EAGAIN;
    let pid = this.#last;
    do {
      pid = pid + 1 < this.#maxPid ? pid + 1 : RESERVED_PIDS;
    } while (this.#ids.has(pid));
    this.#last = pid;
    return pid;
  }

  task(tid: number): Task | undefined {
    return this.#ids.get(tid)?.task;
  }

  process(pid: number): Process | undefined {
    return this.#ids.get(pid)?.process;
  }

  group(pgid: number): ProcessGroup | undefined {
    return this.#ids.get(pgid)?.group;
  }

  session(sid: number): Session | undefined {
    return this.#ids.get(sid)?.session;
  }

  /** All processes, zombies included, by pid. */
  processes(): Process[] {
    const all: Process[] = [];
    for (const { process } of this.#ids.values()) if (process !== undefined) all.push(process);
    return all.sort((a, b) => a.pid - b.pid);
  }

  addTask(task: Task): void {
    this.#id(task.tid).task = task;
    this.#tasks++;
  }

  /** The task has ended; its id is free unless its process, a group or a session has it too. */
  removeTask(tid: number): void {
    const id = this.#ids.get(tid);
    if (id?.task === undefined) return;
    id.task = undefined;
    this.#tasks--;
    this.#drop(tid, id);
  }

  addProcess(process: Process): void {
    this.#id(process.pid).process = process;
  }

  removeProcess(pid: number): void {
    const id = this.#ids.get(pid);
    if (id === undefined) return;
    id.process = undefined;
    this.#drop(pid, id);
  }

  addGroup(group: ProcessGroup): void {
    this.#id(group.pgid).group = group;
    this.#id(group.session.sid).session = group.session;
  }

  /** The group has no members any more; the session ends with its last group. */
  removeGroup(group: ProcessGroup): void {
    group.session.groups.delete(group);
    const id = this.#ids.get(group.pgid);
    if (id !== undefined) {
      id.group = undefined;
      this.#drop(group.pgid, id);
    }
    if (group.session.groups.size > 0) return;
    const session = this.#ids.get(group.session.sid);
    if (session !== undefined) {
      session.session = undefined;
      this.#drop(group.session.sid, session);
    }
  }

  #id(number: number): Id {
    let id = this.#ids.get(number);
    if (id === undefined) {
      id = { task: undefined, process: undefined, group: undefined, session: undefined };
      this.#ids.set(number, id);
    }
    return id;
  }

  #drop(number: number, id: Id): void {
    if ((id.task ?? id.process ?? id.group ?? id.session) === undefined) this.#ids.delete(number);
  }
}
