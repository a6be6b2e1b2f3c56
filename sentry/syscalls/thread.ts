/** Attributes of threads: names, scheduling, affinity. See prctl(2), sched(7). */
import { EINVAL, EPERM, Errno, ESRCH } from "../abi/errno.ts";
import { SchedAttr } from "../abi/process-structs.ts";
import { cpuCount } from "../kernel/host-facts.ts";
import { RLIMIT_NICE } from "../kernel/limits.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_SYS_NICE, isCapable } from "../vfs/credentials.ts";
import { addr, int, size, uint } from "./args.ts";
import { type Syscall, syscall } from "./define.ts";
import { prctl } from "./prctl.ts";
import { storeTimespec } from "./timespec.ts";

const SCHED_OTHER = 0;
const SCHED_FIFO = 1;
const SCHED_RR = 2;
const SCHED_BATCH = 3;
const SCHED_IDLE = 5;
const SCHED_DEADLINE = 6;
const SCHED_RESET_ON_FORK = 0x4000_0000;
const POLICIES: readonly number[] = [SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE];
const SCHED_FLAG_RESET_ON_FORK = 1;
const RR_INTERVAL_NS = 100_000_000n;
const HIGHEST_REAL_TIME = 99;
/** The largest CPU set a call may pass. */
const CPU_SET_MAX = 8192;

function isRealTime(policy: number): boolean {
  return policy === SCHED_FIFO || policy === SCHED_RR;
}

/** The thread a call of sched(7) means. @returns `EINVAL` for a negative id, `ESRCH`. */
function threadAt(task: Task, tid: number): Task | Errno {
  if (tid < 0) return EINVAL;
  return tid === 0 ? task : (task.kernel.pids.task(tid) ?? ESRCH);
}

/** Whether `task` may change how `target` is scheduled. */
function mayReschedule(task: Task, target: Task): boolean {
  const { euid } = task.credentials;
  const { euid: its, ruid } = target.credentials;
  return euid === its || euid === ruid || isCapable(task.credentials, CAP_SYS_NICE);
}

interface Wanted {
  readonly policy: number;
  readonly priority: number;
  readonly nice: number | undefined;
  readonly resetOnFork: boolean;
}

function reschedule(task: Task, tid: number, wanted: Wanted): number | Errno {
  const { policy, priority, resetOnFork } = wanted;
  const target = threadAt(task, tid);
  if (target instanceof Errno) return target;
  if (!POLICIES.includes(policy)) return policy === SCHED_DEADLINE ? EPERM : EINVAL;
  const range = isRealTime(policy) ? [1, HIGHEST_REAL_TIME] : [0, 0];
  if (priority < (range[0] ?? 0) || priority > (range[1] ?? 0)) return EINVAL;
  if (!mayReschedule(task, target)) return EPERM;
  const privileged = isCapable(task.credentials, CAP_SYS_NICE);
  if (isRealTime(policy) && !privileged) return EPERM;
  const { scheduling } = target;
  const nice = wanted.nice ?? scheduling.nice;
  const lowest = 20 - Math.min(40, task.process.limits.soft(RLIMIT_NICE));
  if (nice < scheduling.nice && nice < lowest && !privileged) return EPERM;
  target.scheduling = { policy, priority, nice, resetOnFork };
  return 0;
}

function priorityAt(task: Task, at: number): number | Errno {
  const raw = at === 0 ? EINVAL : task.memory.copyIn(at, 4);
  return raw instanceof Errno ? raw : new DataView(raw.buffer, raw.byteOffset).getInt32(0, true);
}

function storeInt(task: Task, at: number, value: number): number | Errno {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return task.memory.copyOut(at, bytes) ?? 0;
}

function setAttributes(task: Task, tid: number, at: number): number | Errno {
  const raw = task.memory.copyIn(at, SchedAttr.size);
  if (raw instanceof Errno) return raw;
  const { size: length, policy, flags, nice, priority } = SchedAttr.parse(raw);
  if ((length !== 0 && length < SchedAttr.size) || flags & ~SCHED_FLAG_RESET_ON_FORK) return EINVAL;
  return reschedule(task, tid, {
    policy,
    priority,
    nice: isRealTime(policy) ? undefined : Math.max(-20, Math.min(19, nice)),
    resetOnFork: (flags & SCHED_FLAG_RESET_ON_FORK) !== 0,
  });
}

function getAttributes(task: Task, tid: number, at: number, length: number): number | Errno {
  if (length < SchedAttr.size) return EINVAL;
  const target = threadAt(task, tid);
  if (target instanceof Errno) return target;
  const { policy, priority, nice, resetOnFork } = target.scheduling;
  const bytes = SchedAttr.bytes({
    size: SchedAttr.size,
    policy,
    flags: resetOnFork ? SCHED_FLAG_RESET_ON_FORK : 0,
    nice,
    priority,
    runtime: 0,
    deadline: 0,
    period: 0,
  });
  return task.memory.copyOut(at, bytes) ?? 0;
}

/** All CPUs there are, one bit each. */
function allCpus(): bigint {
  return (1n << BigInt(cpuCount())) - 1n;
}

function getAffinity(task: Task, tid: number, length: number, at: number): number | Errno {
  const needed = Math.ceil(cpuCount() / 64) * 8;
  if (length % 8 !== 0 || length < needed) return EINVAL;
  const target = tid < 0 ? ESRCH : threadAt(task, tid);
  if (target instanceof Errno) return target;
  const bytes = new Uint8Array(needed);
  const cpus = target.affinity ?? allCpus();
  for (let i = 0; i < needed; i++) bytes[i] = Number((cpus >> BigInt(8 * i)) & 0xffn);
  return task.memory.copyOut(at, bytes) ?? needed;
}

function setAffinity(task: Task, tid: number, length: number, at: number): number | Errno {
  const target = tid < 0 ? ESRCH : threadAt(task, tid);
  if (target instanceof Errno) return target;
  const raw = task.memory.copyIn(at, Math.min(length, CPU_SET_MAX));
  if (raw instanceof Errno) return raw;
  let cpus = 0n;
  for (const [i, byte] of raw.entries()) cpus |= BigInt(byte) << BigInt(8 * i);
  cpus &= allCpus();
  if (cpus === 0n) return EINVAL;
  if (!mayReschedule(task, target)) return EPERM;
  target.affinity = cpus;
  return 0;
}

const REMEMBERED = {
  partial: "What is set is remembered and shown, but the host schedules",
} as const;

export const THREAD: readonly Syscall[] = [
  syscall("set_tid_address", { support: "full", args: { tidptr: addr }, run: (task) => task.tid }),
  syscall("prctl", {
    support: {
      partial:
        "PR_SET_SECCOMP, PR_SET_MM, PR_SET_VMA, PR_SET_PTRACER, timestamp-counter, machine-check, speculation " +
        "and scheduling-core operations are refused; timer slack is only remembered",
    },
    args: { option: int, arg2: addr, arg3: addr, arg4: addr, arg5: addr },
    run: (task, { option, arg2, arg3, arg4, arg5 }) =>
      prctl(task, option, [arg2, arg3, arg4, arg5]),
  }),
  syscall("sched_yield", { support: "full", args: {}, run: () => 0 }),
  syscall("sched_getaffinity", {
    support: "full",
    args: { pid: int, cpusetsize: size, mask: addr },
    run: (task, { pid, cpusetsize, mask }) => getAffinity(task, pid, cpusetsize, mask),
  }),
  syscall("sched_setaffinity", {
    support: REMEMBERED,
    args: { pid: int, cpusetsize: size, mask: addr },
    run: (task, { pid, cpusetsize, mask }) => setAffinity(task, pid, cpusetsize, mask),
  }),
  syscall("sched_getscheduler", {
    support: "full",
    args: { pid: int },
    run: (task, { pid }) => {
      const target = threadAt(task, pid);
      if (target instanceof Errno) return target;
      const { policy, resetOnFork } = target.scheduling;
      return policy | (resetOnFork ? SCHED_RESET_ON_FORK : 0);
    },
  }),
  syscall("sched_setscheduler", {
    support: REMEMBERED,
    args: { pid: int, policy: int, param: addr },
    run: (task, { pid, policy, param }) => {
      const priority = priorityAt(task, param);
      if (priority instanceof Errno) return priority;
      return reschedule(task, pid, {
        policy: policy & ~SCHED_RESET_ON_FORK,
        priority,
        nice: undefined,
        resetOnFork: (policy & SCHED_RESET_ON_FORK) !== 0,
      });
    },
  }),
  syscall("sched_getparam", {
    support: "full",
    args: { pid: int, param: addr },
    run: (task, { pid, param }) => {
      const target = param === 0 ? EINVAL : threadAt(task, pid);
      if (target instanceof Errno) return target;
      return storeInt(task, param, target.scheduling.priority);
    },
  }),
  syscall("sched_setparam", {
    support: REMEMBERED,
    args: { pid: int, param: addr },
    run: (task, { pid, param }) => {
      const target = threadAt(task, pid);
      if (target instanceof Errno) return target;
      const priority = priorityAt(task, param);
      if (priority instanceof Errno) return priority;
      return reschedule(task, pid, { ...target.scheduling, priority });
    },
  }),
  syscall("sched_getattr", {
    support: "full",
    args: { pid: int, attr: addr, size: uint, flags: uint },
    run: (task, { pid, attr, size: length, flags }) =>
      flags !== 0 ? EINVAL : getAttributes(task, pid, attr, length),
  }),
  syscall("sched_setattr", {
    support: REMEMBERED,
    args: { pid: int, attr: addr, flags: uint },
    run: (task, { pid, attr, flags }) => (flags !== 0 ? EINVAL : setAttributes(task, pid, attr)),
  }),
  syscall("sched_get_priority_max", {
    support: "full",
    args: { policy: int },
    run: (_task, { policy }) => {
      if (isRealTime(policy)) return HIGHEST_REAL_TIME;
      return POLICIES.includes(policy) || policy === SCHED_DEADLINE ? 0 : EINVAL;
    },
  }),
  syscall("sched_get_priority_min", {
    support: "full",
    args: { policy: int },
    run: (_task, { policy }) => {
      if (isRealTime(policy)) return 1;
      return POLICIES.includes(policy) || policy === SCHED_DEADLINE ? 0 : EINVAL;
    },
  }),
  syscall("sched_rr_get_interval", {
    support: "full",
    args: { pid: int, interval: addr },
    run: (task, { pid, interval }) => {
      const target = threadAt(task, pid);
      if (target instanceof Errno) return target;
      const ns = target.scheduling.policy === SCHED_FIFO ? 0n : RR_INTERVAL_NS;
      return storeTimespec(task, interval, ns) ?? 0;
    },
  }),
];
