/** The priority of a thread's input and output: ioprio_set(2). */
import { EINVAL, EPERM, Errno, ESRCH } from "../abi/errno.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_SYS_ADMIN, CAP_SYS_NICE, isCapable } from "../vfs/credentials.ts";
import { int } from "./args.ts";
import { type Syscall, syscall } from "./define.ts";
import { prioritized } from "./limits.ts";

const CLASS_SHIFT = 13;
const CLASS_NONE = 0;
const CLASS_REAL_TIME = 1;
const CLASS_BEST_EFFORT = 2;
const CLASS_IDLE = 3;
/** IOPRIO_WHO_PROCESS; the others follow as getpriority(2) has them, whose first is 0. */
const FIRST_WHO = 1;

/** What a thread without a priority of its own has: its class and level follow from its nice value. */
function effective({ ioPriority, scheduling }: Task): number {
  if (ioPriority >> CLASS_SHIFT !== CLASS_NONE) return ioPriority;
  return (CLASS_BEST_EFFORT << CLASS_SHIFT) | Math.floor((scheduling.nice + 20) / 5);
}

function check(task: Task, priority: number): Errno | undefined {
  const { credentials } = task;
  switch (priority >> CLASS_SHIFT) {
    case CLASS_REAL_TIME: {
      const may = isCapable(credentials, CAP_SYS_NICE) || isCapable(credentials, CAP_SYS_ADMIN);
      return may ? undefined : EPERM;
    }
    // What is not level is a hint.
    case CLASS_BEST_EFFORT:
    case CLASS_IDLE:
      return undefined;
    default:
      return priority === CLASS_NONE ? undefined : EINVAL;
  }
}

function setPriority(task: Task, which: number, who: number, priority: number): number | Errno {
  const error = check(task, priority);
  if (error !== undefined) return error;
  const targets = prioritized(task, which - FIRST_WHO, who);
  if (targets instanceof Errno) return targets;
  const { euid, ruid } = task.credentials;
  for (const target of targets) {
    const its = target.credentials.ruid;
    if (its !== euid && its !== ruid && !isCapable(task.credentials, CAP_SYS_NICE)) return EPERM;
    target.ioPriority = priority;
  }
  return targets.length === 0 ? ESRCH : 0;
}

function getPriority(task: Task, which: number, who: number): number | Errno {
  const targets = prioritized(task, which - FIRST_WHO, who);
  if (targets instanceof Errno) return targets;
  const [only] = targets;
  if (only === undefined) return ESRCH;
  return which === FIRST_WHO ? only.ioPriority : Math.min(...targets.map(effective));
}

export const IO_PRIORITY: readonly Syscall[] = [
  syscall("ioprio_get", {
    support: "full",
    args: { which: int, who: int },
    run: (task, { which, who }) => getPriority(task, which, who),
  }),
  syscall("ioprio_set", {
    support: { partial: "What is set is remembered and shown, but the host schedules" },
    args: { which: int, who: int, ioprio: int },
    run: (task, { which, who, ioprio }) => setPriority(task, which, who, ioprio),
  }),
];
