import type { ControllingTerminal } from "../fs/tty/job-control.ts";
import type { Process } from "./process.ts";

/** A session: process groups that share a controlling terminal. See setsid(2). */
export class Session {
  readonly sid: number;
  /** The process that made it; undefined once it has ended. */
  leader: Process | undefined;
  readonly groups: Set<ProcessGroup> = new Set();
  /** The controlling terminal. */
  terminal: ControllingTerminal | undefined = undefined;

  constructor(leader: Process) {
    this.sid = leader.pid;
    this.leader = leader;
  }
}

/** A process group: what a shell calls a job. See setpgid(2). */
export class ProcessGroup {
  readonly pgid: number;
  readonly session: Session;
  readonly members: Set<Process> = new Set();

  constructor(pgid: number, session: Session) {
    this.pgid = pgid;
    this.session = session;
    session.groups.add(this);
  }

  /**
   * Whether no member has a parent in another group of the session: nobody is left who would continue it.
   * @param without a member or parent to disregard because it is just ending.
   */
  isOrphaned(without?: Process): boolean {
    for (const member of this.members) {
      if (member === without || member.state === "zombie") continue;
      const parent = member.parent;
      if (parent === undefined || parent === without) continue;
      if (parent.group !== this && parent.group.session === this.session) return false;
    }
    return true;
  }
}
