/** Resource limits, usage and priorities. See getrlimit(2), getrusage(2), getpriority(2). */
import { EACCES, EINVAL, EPERM, Errno, ESRCH } from "../abi/errno.ts";
import { Rlimit } from "../abi/structs.ts";
import { type Limit, RLIMIT_CPU, RLIMIT_NICE } from "../kernel/limits.ts";
import type { Process } from "../kernel/process.ts";
import type { Task } from "../kernel/task.ts";
import { addUsage, NO_USAGE, type Usage } from "../kernel/usage.ts";
import { CAP_SYS_NICE, CAP_SYS_RESOURCE, isCapable } from "../vfs/credentials.ts";
import { addr, int, structIn, structOut, uint } from "./args.ts";
import { type Syscall, syscall } from "./define.ts";
import { rusageBytes } from "./rusage.ts";

const RUSAGE_SELF = 0;
const RUSAGE_CHILDREN = -1;
const RUSAGE_THREAD = 1;
const PRIO_PROCESS = 0;
const PRIO_PGRP = 1;
const PRIO_USER = 2;

function setLimit(task: Task, target: Process, resource: number, limit: Limit): number | Errno {
  const privileged = isCapable(task.credentials, CAP_SYS_RESOURCE);
  const refused = target.limits.set(resource, limit, privileged);
  if (refused !== undefined) return refused;
  if (resource === RLIMIT_CPU) target.timers.cpuLimitChanged();
  return 0;
}

/** Whether `task` may see and set the limits of another process; see prlimit(2). */
function mayLimit(task: Task, target: Process): boolean {
  if (target === task.process || isCapable(task.credentials, CAP_SYS_RESOURCE)) return true;
  const { ruid, rgid } = task.credentials;
  const its = target.credentials;
  const sameUser = its.ruid === ruid && its.euid === ruid && its.suid === ruid;
  return sameUser && its.rgid === rgid && its.egid === rgid && its.sgid === rgid;
}

function prlimit(
  task: Task,
  pid: number,
  resource: number,
  newAt: number,
  oldAt: number,
): number | Errno {
  const target = pid === 0 ? task.process : task.kernel.pids.process(pid);
  if (target === undefined) return ESRCH;
  if (!mayLimit(task, target)) return EPERM;
  const old = target.limits.get(resource);
  if (old instanceof Errno) return old;
  const raw = newAt === 0 ? undefined : task.memory.copyIn(newAt, Rlimit.size);
  if (raw instanceof Errno) return raw;
  const result = raw === undefined ? 0 : setLimit(task, target, resource, Rlimit.parse(raw));
  if (result !== 0 || oldAt === 0) return result;
  return task.memory.copyOut(oldAt, Rlimit.bytes(old)) ?? 0;
}

function usageOf(task: Task, who: number): Usage | Errno {
  const { process, kernel } = task;
  const own = kernel.machine.usage?.(process) ?? process.usage;
  switch (who) {
    case RUSAGE_SELF:
      return own;
    case RUSAGE_CHILDREN:
      return process.childrenUsage;
    case RUSAGE_THREAD: {
      const cpuNs = kernel.machine.cpuTime?.(task);
      return cpuNs === undefined ? own : addUsage(NO_USAGE, { ...NO_USAGE, userNs: cpuNs });
    }
    default:
      return EINVAL;
  }
}

/** The threads that getpriority(2) and setpriority(2) mean. */
export function prioritized(task: Task, which: number, who: number): readonly Task[] | Errno {
  const { kernel, process } = task;
  switch (which) {
    case PRIO_PROCESS: {
      const target = who === 0 ? task : kernel.pids.task(who);
      return target === undefined ? [] : [target];
    }
    case PRIO_PGRP: {
      const group = who === 0 ? process.group : kernel.pids.group(who);
      return [...(group?.members ?? [])].flatMap(({ tasks }) => [...tasks]);
    }
    case PRIO_USER: {
      const uid = who === 0 ? task.credentials.ruid : who;
      return kernel.pids
        .processes()
        .flatMap(({ tasks }) => [...tasks])
        .filter(({ credentials }) => credentials.ruid === uid);
    }
    default:
      return EINVAL;
  }
}

function getPriority(task: Task, which: number, who: number): number | Errno {
  const targets = prioritized(task, which, who);
  if (targets instanceof Errno) return targets;
  if (targets.length === 0) return ESRCH;
  return 20 - Math.min(...targets.map(({ scheduling }) => scheduling.nice));
}

function setPriority(task: Task, which: number, who: number, value: number): number | Errno {
  const targets = prioritized(task, which, who);
  if (targets instanceof Errno) return targets;
  const nice = Math.max(-20, Math.min(19, value));
  let result: number | Errno = ESRCH;
  for (const target of targets) {
    const error = renice(task, target, nice);
    result = error ?? (result instanceof Errno && result !== ESRCH ? result : 0);
  }
  return result;
}

function renice(task: Task, target: Task, nice: number): Errno | undefined {
  const { credentials, process } = task;
  const privileged = isCapable(credentials, CAP_SYS_NICE);
  const { ruid, euid } = target.credentials;
  if (credentials.euid !== ruid && credentials.euid !== euid && !privileged) return EPERM;
  const lowest = 20 - Math.min(40, process.limits.soft(RLIMIT_NICE));
  if (nice < target.scheduling.nice && nice < lowest && !privileged) return EACCES;
  target.scheduling = { ...target.scheduling, nice };
  return undefined;
}

const ENFORCED = {
  partial:
    "CPU, FSIZE, NPROC, NOFILE, STACK, SIGPENDING and NICE are enforced by the kernel (in trusted mode not FSIZE " +
    "for descriptors that were written to before it was set); other limits are remembered and shown",
} as const;

export const LIMITS: readonly Syscall[] = [
  syscall("getrlimit", {
    support: "full",
    args: { resource: uint, rlim: structOut(Rlimit) },
    run: (task, { resource, rlim }) => {
      const limit = task.process.limits.get(resource);
      return limit instanceof Errno ? limit : (rlim.write(limit) ?? 0);
    },
  }),
  syscall("setrlimit", {
    support: ENFORCED,
    args: { resource: uint, rlim: structIn(Rlimit) },
    run: (task, { resource, rlim }) => setLimit(task, task.process, resource, rlim),
  }),
  syscall("prlimit64", {
    support: ENFORCED,
    args: { pid: int, resource: uint, newLimit: addr, oldLimit: addr },
    run: (task, { pid, resource, newLimit, oldLimit }) =>
      prlimit(task, pid, resource, newLimit, oldLimit),
  }),
  syscall("getrusage", {
    support: { partial: "Block operations are not counted; the others as far as the host tells" },
    args: { who: int, usage: addr },
    run: (task, { who, usage: at }) => {
      const usage = usageOf(task, who);
      return usage instanceof Errno ? usage : (task.memory.copyOut(at, rusageBytes(usage)) ?? 0);
    },
  }),
  syscall("getpriority", {
    support: "full",
    args: { which: int, who: int },
    run: (task, { which, who }) => getPriority(task, which, who),
  }),
  syscall("setpriority", {
    support: { partial: "What is set is remembered and shown, but the host schedules" },
    args: { which: int, who: int, prio: int },
    run: (task, { which, who, prio }) => setPriority(task, which, who, prio),
  }),
];
