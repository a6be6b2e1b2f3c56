/** Descriptors for events: epoll(7), eventfd(2), timerfd_create(2), signalfd(2). */
import { EAGAIN, EBADF, EINTR, EINVAL, Errno } from "../abi/errno.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../abi/file.ts";
import type { Isa } from "../abi/numbers.ts";
import { bit, SI_KERNEL, SI_TIMER, SIGCHLD, SIGIO, SYNCHRONOUS } from "../abi/signal.ts";
import { big64, type Struct, struct } from "../abi/struct.ts";
import { Itimerspec } from "../abi/structs.ts";
import { Epoll } from "../fs/event/epoll.ts";
import { EventFile } from "../fs/event/eventfd.ts";
import { SignalFile, SignalfdSiginfo, type SignalQueue } from "../fs/event/signalfd.ts";
import { TimerFile } from "../fs/event/timerfd.ts";
import { EPOLL_CTL_DEL, type EpollEvent } from "../host/epoll.ts";
import { members, type Siginfo } from "../kernel/siginfo.ts";
import type { Task } from "../kernel/task.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { POLLIN } from "../vfs/poll.ts";
import { addr, fd, int, size, structIn, structOut, uint } from "./args.ts";
import { type CallFrame, type Result, type Syscall, syscall } from "./define.ts";
import { installFile } from "./fd.ts";
import { timespecAt } from "./poll.ts";
import { fileAt, waitOn } from "./transfer.ts";

const SIGSET_SIZE = 8;
const NS_PER_MS = 1_000_000n;
/** Reports one call brings at most, whatever room the guest has. */
const REPORTS_MAX = 1024;
const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;

/** `struct epoll_event`: packed on x86-64 only. `<linux/eventpoll.h>` */
interface EventLayout {
  readonly size: number;
  readonly dataAt: number;
}
const EPOLL_EVENT: Record<Isa, EventLayout> = {
  x86_64: { size: 12, dataAt: 4 },
  arm64: { size: 16, dataAt: 8 },
};
const SigSet: Struct<{ bits: bigint }> = struct({ bits: big64 });

function epollAt(task: Task, number: number): Epoll | Errno {
  const file = fileAt(task, number);
  if (file instanceof Errno) return file;
  return file instanceof Epoll ? file : EINVAL;
}

function install(task: Task, file: OpenFile | Errno, flags: number): Result {
  return file instanceof Errno ? file : installFile(task, file, (flags & O_CLOEXEC) !== 0);
}

/** Stores reports at `at` in the guest. @returns how many, or `EFAULT`. */
function storeEvents(task: Task, at: number, reports: readonly EpollEvent[]): number | Errno {
  const layout = EPOLL_EVENT[task.process.isa];
  const raw = new Uint8Array(reports.length * layout.size);
  const view = new DataView(raw.buffer);
  reports.forEach(({ events, data }, i) => {
    view.setUint32(i * layout.size, events, true);
    view.setBigUint64(i * layout.size + layout.dataAt, data, true);
  });
  return task.memory.copyOut(at, raw) ?? reports.length;
}

/**
 * The reports that a guest which waits on the host's instance itself is to add to what it found there.
 * @param frame the epoll descriptor, where to store them, room for how many.
 */
export function softEvents(task: Task, frame: CallFrame): number | Errno {
  const epoll = epollAt(task, frame.s32(0));
  if (epoll instanceof Errno) return epoll;
  const reports = epoll.collectSoft(Math.min(frame.u32(2), REPORTS_MAX));
  return reports.length === 0 ? 0 : storeEvents(task, frame.u64(1), reports);
}

/** See epoll_wait(2). @param timeout in nanoseconds; undefined: for ever. */
function epollWait(
  task: Task,
  epfd: number,
  at: number,
  maximum: number,
  timeout: bigint | undefined,
): Result {
  const layout = EPOLL_EVENT[task.process.isa];
  if (maximum <= 0 || maximum > Math.floor(0x7fffffff / layout.size)) return EINVAL;
  const epoll = epollAt(task, epfd);
  if (epoll instanceof Errno) return epoll;
  const attempt = (): number | Errno => {
    const reports = epoll.collect(Math.min(maximum, REPORTS_MAX));
    if (reports.length === 0) return EAGAIN;
    return storeEvents(task, at, reports);
  };
  if (timeout === 0n) {
    const result = attempt();
    return result === EAGAIN ? 0 : result;
  }
  const deadlineNs = timeout === undefined ? undefined : task.kernel.reactor.now() + timeout;
  return waitOn(task, [{ file: epoll, events: POLLIN }], attempt, {
    deadlineNs,
    onTimeout: () => 0,
    interrupted: EINTR,
  });
}

function epollWaitMs(task: Task, epfd: number, at: number, max: number, ms: number): Result {
  return epollWait(task, epfd, at, max, ms < 0 ? undefined : BigInt(ms) * NS_PER_MS);
}

function timerAt(task: Task, number: number): TimerFile | Errno {
  const file = fileAt(task, number);
  if (file instanceof Errno) return file;
  return file instanceof TimerFile ? file : EINVAL;
}

/** The pending signals of a task as signalfds see them. */
function signalQueue(caller: unknown): SignalQueue {
  const task = caller as Task;
  return {
    pending: () => task.pending.set | task.process.pending.set,
    take: (wanted) => {
      const signal = task.pending.take(wanted) ?? task.process.pending.take(wanted);
      return signal === undefined ? undefined : encode(signal);
    },
    subscribe: (waiter) => task.process.signalArrived.subscribe(POLLIN, waiter),
  };
}

/** Fills in the members that the signal's kind has; the others are zero. */
function encode(signal: Siginfo): Uint8Array {
  const { signo, code } = signal;
  const all = members(signal);
  const isFault = (SYNCHRONOUS & bit(signo)) !== 0n && code > 0 && code !== SI_KERNEL;
  const isChild = signo === SIGCHLD && code > 0 && code !== SI_KERNEL;
  const isPoll = signo === SIGIO && code > 0 && code !== SI_KERNEL;
  const isTimer = code === SI_TIMER;
  const isSent = !isFault && !isPoll && !isTimer;
  const hasValue = (isSent && code < 0) || isTimer;
  return SignalfdSiginfo.bytes({
    signo,
    errno: all.errno,
    code,
    pid: isSent ? all.pid : 0,
    uid: isSent ? all.uid : 0,
    fd: isPoll ? all.fd : 0,
    tid: isTimer ? all.timerid : 0,
    band: isPoll ? all.band : 0,
    overrun: isTimer ? all.overrun : 0,
    trapno: 0,
    status: isChild ? all.status : 0,
    int: hasValue ? Number(BigInt.asIntN(32, all.value)) : 0,
    ptr: hasValue ? all.value : 0n,
    utime: isChild ? all.utime : 0,
    stime: isChild ? all.stime : 0,
    addr: isFault ? all.addr : 0,
    addrLsb: 0,
    pad: new Uint8Array(0),
  });
}

function signalfd(task: Task, number: number, mask: bigint, flags: number): Result {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return EINVAL;
  if (number === -1) {
    const file = new SignalFile(flags & O_NONBLOCK, mask, signalQueue, task);
    return install(task, file, flags);
  }
  const file = fileAt(task, number);
  if (file instanceof Errno) return EBADF;
  if (!(file instanceof SignalFile)) return EINVAL;
  file.mask = mask;
  task.process.signalArrived.wake(POLLIN);
  return number;
}

function eventfd(task: Task, initial: number, flags: number): Result {
  const file = EventFile.create(task.kernel.reactor, initial, flags & ~O_CLOEXEC);
  return install(task, file, flags);
}

export const EVENT: readonly Syscall[] = [
  syscall("epoll_create", {
    support: "full",
    args: { size: int },
    run: (task, { size: wanted }) =>
      wanted <= 0 ? EINVAL : install(task, Epoll.create(task.kernel.reactor), 0),
  }),
  syscall("epoll_create1", {
    support: "full",
    args: { flags: uint },
    run: (task, { flags }) => {
      if ((flags & ~O_CLOEXEC) !== 0) return EINVAL;
      return install(task, Epoll.create(task.kernel.reactor), flags);
    },
  }),
  syscall("epoll_ctl", {
    support: "full",
    args: { epfd: fd, op: int, fd, event: addr },
    run: (task, { epfd, op, fd: number, event }) => {
      const layout = EPOLL_EVENT[task.process.isa];
      let events = 0;
      let data = 0n;
      if (op !== EPOLL_CTL_DEL) {
        const raw = task.memory.copyIn(event, layout.size);
        if (raw instanceof Errno) return raw;
        const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
        events = view.getUint32(0, true);
        data = view.getBigUint64(layout.dataAt, true);
      }
      const epoll = fileAt(task, epfd);
      if (epoll instanceof Errno) return epoll;
      const file = fileAt(task, number);
      if (file instanceof Errno) return file;
      if (!(epoll instanceof Epoll)) return EINVAL;
      return epoll.control(op, number, file, events, data) ?? 0;
    },
  }),
  syscall("epoll_wait", {
    support: "full",
    args: { epfd: fd, events: addr, maxevents: int, timeout: int },
    run: (task, { epfd, events, maxevents, timeout }) =>
      epollWaitMs(task, epfd, events, maxevents, timeout),
  }),
  syscall("epoll_pwait", {
    support: "full",
    args: {
      epfd: fd,
      events: addr,
      maxevents: int,
      timeout: int,
      sigmask: addr,
      sigsetsize: size,
    },
    run: (task, { epfd, events, maxevents, timeout, sigmask, sigsetsize }) => {
      // The executor has put the mask in force.
      if (sigmask !== 0 && sigsetsize !== SIGSET_SIZE) return EINVAL;
      return epollWaitMs(task, epfd, events, maxevents, timeout);
    },
  }),
  syscall("epoll_pwait2", {
    support: "full",
    args: {
      epfd: fd,
      events: addr,
      maxevents: int,
      timeout: addr,
      sigmask: addr,
      sigsetsize: size,
    },
    run: (task, { epfd, events, maxevents, timeout, sigmask, sigsetsize }) => {
      if (sigmask !== 0 && sigsetsize !== SIGSET_SIZE) return EINVAL;
      const limit = timespecAt(task, timeout);
      return limit instanceof Errno ? limit : epollWait(task, epfd, events, maxevents, limit);
    },
  }),
  syscall("eventfd", {
    support: "full",
    args: { initval: uint },
    run: (task, { initval }) => eventfd(task, initval, 0),
  }),
  syscall("eventfd2", {
    support: "full",
    args: { initval: uint, flags: uint },
    run: (task, { initval, flags }) => eventfd(task, initval, flags),
  }),
  syscall("timerfd_create", {
    support: { partial: "the ALARM clocks answer EPERM, as without CAP_WAKE_ALARM" },
    args: { clockid: int, flags: uint },
    run: (task, { clockid, flags }) =>
      install(task, TimerFile.create(task.kernel.reactor, clockid, flags & ~O_CLOEXEC), flags),
  }),
  syscall("timerfd_settime", {
    support: "full",
    args: { fd, flags: uint, newValue: structIn(Itimerspec), oldValue: structOut(Itimerspec) },
    run: (task, { fd: number, flags, newValue, oldValue }) => {
      if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return EINVAL;
      const timer = timerAt(task, number);
      if (timer instanceof Errno) return timer;
      const previous = timer.set(flags, newValue);
      if (previous instanceof Errno) return previous;
      return oldValue.isNull ? 0 : (oldValue.write(previous) ?? 0);
    },
  }),
  syscall("timerfd_gettime", {
    support: "full",
    args: { fd, currValue: structOut(Itimerspec) },
    run: (task, { fd: number, currValue }) => {
      const timer = timerAt(task, number);
      if (timer instanceof Errno) return timer;
      const current = timer.get();
      return current instanceof Errno ? current : (currValue.write(current) ?? 0);
    },
  }),
  syscall("signalfd", {
    support: "full",
    args: { fd, mask: structIn(SigSet), size },
    run: (task, { fd: number, mask, size: length }) =>
      length === SIGSET_SIZE ? signalfd(task, number, mask.bits, 0) : EINVAL,
  }),
  syscall("signalfd4", {
    support: { partial: "poll and epoll look at the signals of its creator or of its last reader" },
    args: { fd, mask: structIn(SigSet), size, flags: uint },
    run: (task, { fd: number, mask, size: length, flags }) =>
      length === SIGSET_SIZE ? signalfd(task, number, mask.bits, flags) : EINVAL,
  }),
];
