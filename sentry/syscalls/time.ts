/** Clocks, sleeps and timers. See time(7). */
import { EAGAIN, EINVAL, EOPNOTSUPP, EPERM, ERESTARTNOHAND, Errno } from "../abi/errno.ts";
import { Sigevent, Tms } from "../abi/process-structs.ts";
import { SIGALRM, SIGMAX } from "../abi/signal.ts";
import { Itimerspec, Itimerval, Timeval } from "../abi/structs.ts";
import { blockOn } from "../kernel/blocking.ts";
import { CLOCK_MONOTONIC, CLOCK_REALTIME, clockNow, clockOf } from "../kernel/clocks.ts";
import type { TimerSetting } from "../kernel/count-down.ts";
import type { TimerNotice } from "../kernel/process-timers.ts";
import type { Task } from "../kernel/task.ts";
import { addr, int, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import {
  nsToTimespec,
  nsToTimeval,
  storeTimespec,
  storeTimeval,
  timespecAt,
  timespecToNs,
  timevalToNs,
} from "./timespec.ts";

const TIMER_ABSTIME = 1;
const SIGEV_SIGNAL = 0;
const SIGEV_NONE = 1;
const SIGEV_THREAD = 2;
const SIGEV_THREAD_ID = 4;
const NS_PER_S = 1_000_000_000n;
const RESOLUTION_NS = 1n;
const COARSE_RESOLUTION_NS = 4_000_000n;
const COARSE_CLOCKS: readonly number[] = [5, 6];
/** No wait is longer: 146 years. */
const WAIT_MAX_NS = 1n << 62n;
const INT_MAX = 0x7fff_ffff;
const TIMEX_SIZE = 208;
const TIME_ERROR = 5;
const STA_UNSYNC = 0x40;

/** Sleeps until a deadline of the reactor. */
function sleepUntil(task: Task, deadlineNs: bigint, remainderAt: number): Result {
  const storeRemainder = () => {
    const left = deadlineNs - task.kernel.reactor.now();
    if (remainderAt !== 0 && left > 0n) storeTimespec(task, remainderAt, left);
  };
  if (deadlineNs <= task.kernel.reactor.now()) return 0;
  const result = blockOn(task, [], () => EAGAIN, {
    deadlineNs,
    onTimeout: () => 0,
    interrupted: ERESTARTNOHAND,
    ended: storeRemainder,
  });
  if (result instanceof Errno) {
    task.restartUntil(deadlineNs, result);
    storeRemainder();
  }
  return result;
}

function shorten(ns: bigint): bigint {
  return ns > WAIT_MAX_NS ? WAIT_MAX_NS : ns;
}

function clockNanosleep(
  task: Task,
  clockId: number,
  flags: number,
  at: number,
  remainderAt: number,
): Result {
  const clock = clockOf(task, clockId);
  if (clock instanceof Errno || clock.kind === "thread") return EINVAL;
  if (clock.kind === "process") return EOPNOTSUPP;
  const ns = timespecAt(task, at);
  if (ns instanceof Errno) return ns;
  if (!(flags & TIMER_ABSTIME)) {
    return sleepUntil(task, task.deadlineAfter(shorten(ns)), remainderAt);
  }
  const left = ns - clockNow(clock);
  return left <= 0n ? 0 : sleepUntil(task, task.deadlineAfter(shorten(left)), 0);
}

interface SettingOf<T> {
  readonly value: T;
  readonly interval: T;
}

function settingFrom<T>(
  { value, interval }: SettingOf<T>,
  toNs: (time: T) => bigint | Errno,
): TimerSetting | Errno {
  const valueNs = toNs(value);
  if (valueNs instanceof Errno) return valueNs;
  const intervalNs = toNs(interval);
  if (intervalNs instanceof Errno) return intervalNs;
  return { valueNs: shorten(valueNs), intervalNs: shorten(intervalNs) };
}

function itimerval({ valueNs, intervalNs }: TimerSetting): Uint8Array {
  // A timer that runs must not look like one that does not.
  const shown = valueNs > 0n && valueNs < 1000n ? 1000n : valueNs;
  return Itimerval.bytes({ value: nsToTimeval(shown), interval: nsToTimeval(intervalNs) });
}

function setitimer(task: Task, which: number, newAt: number, oldAt: number): number | Errno {
  const timer = task.process.timers.interval(which);
  if (timer instanceof Errno) return timer;
  const raw =
    newAt === 0 ? new Uint8Array(Itimerval.size) : task.memory.copyIn(newAt, Itimerval.size);
  if (raw instanceof Errno) return raw;
  const setting = settingFrom(Itimerval.parse(raw), timevalToNs);
  if (setting instanceof Errno) return setting;
  const old = timer.get();
  timer.set(setting, false);
  return oldAt === 0 ? 0 : (task.memory.copyOut(oldAt, itimerval(old)) ?? 0);
}

function alarm(task: Task, seconds: number): number | Errno {
  const timer = task.process.timers.interval(0);
  if (timer instanceof Errno) return timer;
  const { valueNs } = timer.get();
  timer.set({ valueNs: BigInt(seconds) * NS_PER_S, intervalNs: 0n }, false);
  const rounded = Number((valueNs + NS_PER_S / 2n) / NS_PER_S);
  return valueNs > 0n && rounded === 0 ? 1 : rounded;
}

function noticeAt(task: Task, at: number): TimerNotice | Errno {
  if (at === 0) return { signo: SIGALRM, value: undefined, target: "process" };
  const raw = task.memory.copyIn(at, Sigevent.size);
  if (raw instanceof Errno) return raw;
  const { value, signo, notify, tid } = Sigevent.parse(raw);
  if (notify === SIGEV_NONE) return { signo: 0, value, target: "none" };
  if (signo < 1 || signo > SIGMAX) return EINVAL;
  switch (notify) {
    case SIGEV_SIGNAL:
    case SIGEV_THREAD:
      return { signo, value, target: "process" };
    case SIGEV_SIGNAL | SIGEV_THREAD_ID: {
      const target = task.kernel.pids.task(tid);
      return target?.process === task.process ? { signo, value, target } : EINVAL;
    }
    default:
      return EINVAL;
  }
}

function timerCreate(task: Task, clockId: number, eventAt: number, idAt: number): number | Errno {
  const clock = clockOf(task, clockId);
  if (clock instanceof Errno) return clock;
  const notice = noticeAt(task, eventAt);
  if (notice instanceof Errno) return notice;
  const { timers } = task.process;
  const id = timers.create(clock, notice);
  if (id instanceof Errno) return id;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, id, true);
  const error = task.memory.copyOut(idAt, bytes);
  if (error !== undefined) timers.delete(id);
  return error ?? 0;
}

function itimerspec({ valueNs, intervalNs }: TimerSetting): Uint8Array {
  return Itimerspec.bytes({ value: nsToTimespec(valueNs), interval: nsToTimespec(intervalNs) });
}

function timerSettime(
  task: Task,
  id: number,
  flags: number,
  newAt: number,
  oldAt: number,
): number | Errno {
  if (newAt === 0) return EINVAL;
  const raw = task.memory.copyIn(newAt, Itimerspec.size);
  if (raw instanceof Errno) return raw;
  const setting = settingFrom(Itimerspec.parse(raw), timespecToNs);
  if (setting instanceof Errno) return setting;
  const timer = task.process.timers.get(id);
  if (timer instanceof Errno) return timer;
  const old = timer.countDown.get();
  timer.overrun = 0;
  timer.countDown.set(setting, (flags & TIMER_ABSTIME) !== 0);
  return oldAt === 0 ? 0 : (task.memory.copyOut(oldAt, itimerspec(old)) ?? 0);
}

function times(task: Task, at: number): number | Errno {
  const { process, kernel } = task;
  const tickNs = NS_PER_S / BigInt(kernel.machine.auxv.clockTick);
  const own = kernel.machine.usage?.(process) ?? process.usage;
  const ticks = (ns: bigint) => Number(ns / tickNs);
  if (at !== 0) {
    const bytes = Tms.bytes({
      utime: ticks(own.userNs),
      stime: ticks(own.systemNs),
      cutime: ticks(process.childrenUsage.userNs),
      cstime: ticks(process.childrenUsage.systemNs),
    });
    const error = task.memory.copyOut(at, bytes);
    if (error !== undefined) return error;
  }
  return ticks(kernel.reactor.now());
}

function realtime(): bigint {
  return clockNow({ kind: "host", id: CLOCK_REALTIME });
}

/** What a process that may not set the clock learns of it. */
function readTimex(task: Task, at: number): number | Errno {
  const raw = task.memory.copyIn(at, TIMEX_SIZE);
  if (raw instanceof Errno) return raw;
  if (new DataView(raw.buffer, raw.byteOffset).getUint32(0, true) !== 0) return EPERM;
  const bytes = new Uint8Array(TIMEX_SIZE);
  const view = new DataView(bytes.buffer);
  view.setInt32(40, STA_UNSYNC, true);
  bytes.set(Timeval.bytes(nsToTimeval(realtime())), 72);
  view.setBigInt64(88, 10_000n, true);
  return task.memory.copyOut(at, bytes) ?? TIME_ERROR;
}

const CPU_CLOCKS = {
  partial: "CPU-time clocks advance as far as the host tells, and cannot be slept on",
} as const;

export const TIME: readonly Syscall[] = [
  syscall("clock_gettime", {
    support: CPU_CLOCKS,
    args: { clockid: int, tp: addr },
    run: (task, { clockid, tp }) => {
      const clock = clockOf(task, clockid);
      return clock instanceof Errno ? clock : (storeTimespec(task, tp, clockNow(clock)) ?? 0);
    },
  }),
  syscall("clock_getres", {
    support: "full",
    args: { clockid: int, res: addr },
    run: (task, { clockid, res }) => {
      const clock = clockOf(task, clockid);
      if (clock instanceof Errno || res === 0) return clock instanceof Errno ? clock : 0;
      const ns = COARSE_CLOCKS.includes(clockid) ? COARSE_RESOLUTION_NS : RESOLUTION_NS;
      return storeTimespec(task, res, ns) ?? 0;
    },
  }),
  syscall("clock_settime", {
    support: { partial: "Always EPERM: the clocks are the host's" },
    args: { clockid: int, tp: addr },
    run: (task, { clockid, tp }) => {
      const clock = clockOf(task, clockid);
      if (clock instanceof Errno || clockid !== CLOCK_REALTIME) return EINVAL;
      const ns = timespecAt(task, tp);
      return ns instanceof Errno ? ns : EPERM;
    },
  }),
  syscall("gettimeofday", {
    support: "full",
    args: { tv: addr, tz: addr },
    run: (task, { tv, tz }) => {
      const error = tv === 0 ? undefined : storeTimeval(task, tv, realtime());
      return error ?? (tz === 0 ? 0 : (task.memory.copyOut(tz, new Uint8Array(8)) ?? 0));
    },
  }),
  syscall("settimeofday", {
    support: { partial: "Always EPERM: the clocks are the host's" },
    args: { tv: addr, tz: addr },
    run: () => EPERM,
  }),
  syscall("time", {
    support: "full",
    args: { tloc: addr },
    run: (task, { tloc }) => {
      const seconds = realtime() / NS_PER_S;
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigInt64(0, seconds, true);
      const error = tloc === 0 ? undefined : task.memory.copyOut(tloc, bytes);
      return error ?? Number(seconds);
    },
  }),
  syscall("times", {
    support: { partial: "CPU times as far as the host tells" },
    args: { buf: addr },
    run: (task, { buf }) => times(task, buf),
  }),
  syscall("nanosleep", {
    support: "full",
    args: { req: addr, rem: addr },
    run: (task, { req, rem }) => clockNanosleep(task, CLOCK_MONOTONIC, 0, req, rem),
  }),
  syscall("clock_nanosleep", {
    support: CPU_CLOCKS,
    args: { clockid: int, flags: uint, request: addr, remain: addr },
    run: (task, { clockid, flags, request, remain }) =>
      clockNanosleep(task, clockid, flags, request, remain),
  }),
  syscall("getitimer", {
    support: "full",
    args: { which: int, value: addr },
    run: (task, { which, value }) => {
      const timer = task.process.timers.interval(which);
      if (timer instanceof Errno) return timer;
      return task.memory.copyOut(value, itimerval(timer.get())) ?? 0;
    },
  }),
  syscall("setitimer", {
    support: { partial: "ITIMER_VIRTUAL and ITIMER_PROF count CPU time as far as the host tells" },
    args: { which: int, newValue: addr, oldValue: addr },
    run: (task, { which, newValue, oldValue }) => setitimer(task, which, newValue, oldValue),
  }),
  syscall("alarm", {
    support: "full",
    args: { seconds: uint },
    run: (task, { seconds }) => alarm(task, seconds),
  }),
  syscall("timer_create", {
    support: CPU_CLOCKS,
    args: { clockid: int, sevp: addr, timerid: addr },
    run: (task, { clockid, sevp, timerid }) => timerCreate(task, clockid, sevp, timerid),
  }),
  syscall("timer_settime", {
    support: "full",
    args: { timerid: int, flags: uint, newValue: addr, oldValue: addr },
    run: (task, { timerid, flags, newValue, oldValue }) =>
      timerSettime(task, timerid, flags, newValue, oldValue),
  }),
  syscall("timer_gettime", {
    support: "full",
    args: { timerid: int, value: addr },
    run: (task, { timerid, value }) => {
      const timer = task.process.timers.get(timerid);
      if (timer instanceof Errno) return timer;
      return task.memory.copyOut(value, itimerspec(timer.countDown.get())) ?? 0;
    },
  }),
  syscall("timer_getoverrun", {
    support: "full",
    args: { timerid: int },
    run: (task, { timerid }) => {
      const timer = task.process.timers.get(timerid);
      return timer instanceof Errno ? timer : Math.min(timer.overrun, INT_MAX);
    },
  }),
  syscall("timer_delete", {
    support: "full",
    args: { timerid: int },
    run: (task, { timerid }) => task.process.timers.delete(timerid) ?? 0,
  }),
  syscall("adjtimex", {
    support: { partial: "Reading only; the clock is the host's, setting it is EPERM" },
    args: { buf: addr },
    run: (task, { buf }) => readTimex(task, buf),
  }),
  syscall("clock_adjtime", {
    support: { partial: "Reading only; the clock is the host's, setting it is EPERM" },
    args: { clockid: int, buf: addr },
    run: (task, { clockid, buf }) => (clockid === CLOCK_REALTIME ? readTimex(task, buf) : EINVAL),
  }),
];
