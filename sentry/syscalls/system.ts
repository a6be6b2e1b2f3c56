/** The system as a whole, and what does not belong to another family. */
import { randomFillSync } from "node:crypto";
import { EBADF, EINVAL, EPERM, Errno, ESRCH } from "../abi/errno.ts";
import { Sysinfo, Utsname } from "../abi/process-structs.ts";
import {
  CLONE_FILES,
  CLONE_FS,
  CLONE_NAMESPACES,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VM,
} from "../kernel/clone.ts";
import { hostLoad, hostMemory, RELEASE, VERSION } from "../kernel/host-facts.ts";
import { RLIMIT_NOFILE } from "../kernel/limits.ts";
import { PidFile } from "../kernel/pid-file.ts";
import type { Process } from "../kernel/process.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_SYS_ADMIN, CAP_SYS_PTRACE, isCapable } from "../vfs/credentials.ts";
import { addr, fd, int, outBuffer, size, uint } from "./args.ts";
import { type Syscall, syscall } from "./define.ts";

/** Longest node or domain name: __NEW_UTS_LEN. */
const UTS_LEN = 64;
const GRND_RANDOM = 2;
const GRND_INSECURE = 4;
const GRND_KNOWN = 7;
/** The most bytes one getrandom(2) gives. */
const RANDOM_MAX = (1 << 25) - 1;
const PIDFD_NONBLOCK = 0o4000;
const PERSONALITY_QUERY = 0xffff_ffff;
const KCMP_FILE = 0;
const KCMP_VM = 1;
const KCMP_FILES = 2;
const KCMP_FS = 3;
const KCMP_SIGHAND = 4;
const KCMP_IO = 5;
const KCMP_SYSVSEM = 6;

function text(value: string): Uint8Array {
  return Buffer.from(value, "latin1");
}

function uname(task: Task, at: number): number | Errno {
  const { hostname, domainname } = task.kernel;
  const bytes = Utsname.bytes({
    sysname: text("Linux"),
    nodename: text(hostname),
    release: text(RELEASE),
    version: text(VERSION),
    machine: text(task.process.isa === "arm64" ? "aarch64" : "x86_64"),
    domainname: text(domainname),
  });
  return task.memory.copyOut(at, bytes) ?? 0;
}

function nameToSet(task: Task, at: number, length: number): string | Errno {
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  if (length < 0 || length > UTS_LEN) return EINVAL;
  const raw = length === 0 ? new Uint8Array(0) : task.memory.copyIn(at, length);
  return raw instanceof Errno ? raw : Buffer.from(raw).toString("latin1");
}

function sysinfo(task: Task, at: number): number | Errno {
  const { kernel } = task;
  const { total, free } = hostMemory();
  const totalram = Math.min(kernel.memoryLimit, total);
  const [load1 = 0, load5 = 0, load15 = 0] = hostLoad();
  const fixedPoint = (load: number) => Math.round(load * 65536);
  const bytes = Sysinfo.bytes({
    uptime: Number((kernel.reactor.now() - kernel.bootNs) / 1_000_000_000n),
    load1: fixedPoint(load1),
    load5: fixedPoint(load5),
    load15: fixedPoint(load15),
    totalram,
    freeram: Math.min(free, totalram),
    sharedram: 0,
    bufferram: 0,
    totalswap: 0,
    freeswap: 0,
    procs: Math.min(kernel.pids.taskCount, 0xffff),
    pad: 0,
    totalhigh: 0,
    freehigh: 0,
    memUnit: 1,
  });
  return task.memory.copyOut(at, bytes) ?? 0;
}

/** Whether `task` could trace `target`: what decides about looking into another process. See ptrace(2). */
export function mayInspect(task: Task, target: Process): boolean {
  if (target === task.process || isCapable(task.credentials, CAP_SYS_PTRACE)) return true;
  const { ruid, rgid } = task.credentials;
  const its = target.credentials;
  const sameUser = its.ruid === ruid && its.euid === ruid && its.suid === ruid;
  const sameGroup = its.rgid === rgid && its.egid === rgid && its.sgid === rgid;
  return sameUser && sameGroup && target.dumpable === 1;
}

function pidfdOpen(task: Task, pid: number, flags: number): number | Errno {
  if (flags & ~PIDFD_NONBLOCK || pid <= 0) return EINVAL;
  const process = task.kernel.pids.process(pid);
  if (process === undefined) return task.kernel.pids.task(pid) === undefined ? ESRCH : EINVAL;
  return install(task, new PidFile(process, flags));
}

function install(task: Task, file: PidFile): number | Errno {
  const limit = task.process.limits.soft(RLIMIT_NOFILE);
  const number = task.files.install(file, { cloexec: true, limit });
  if (number instanceof Errno) file.close();
  return number;
}

function pidfdGetfd(task: Task, pidfd: number, target: number, flags: number): number | Errno {
  if (flags !== 0) return EINVAL;
  const pidFile = task.files.get(pidfd);
  if (pidFile instanceof Errno) return pidFile;
  if (!(pidFile instanceof PidFile)) return EBADF;
  const owner = pidFile.process.anyTask;
  if (owner === undefined) return ESRCH;
  if (!mayInspect(task, pidFile.process)) return EPERM;
  const file = owner.files.get(target);
  if (file instanceof Errno) return file;
  const limit = task.process.limits.soft(RLIMIT_NOFILE);
  const number = task.files.install(file.retain(), { cloexec: true, limit });
  if (number instanceof Errno) file.close();
  return number;
}

const ORDER = new WeakMap<object, number>();
let lastOrder = 0;

/** Some order of objects that lasts as long as they do. */
function orderOf(object: object): number {
  let order = ORDER.get(object);
  if (order === undefined) {
    order = ++lastOrder;
    ORDER.set(object, order);
  }
  return order;
}

/** What two tasks may share, by the type of kcmp(2). */
function resource(task: Task, type: number, index: number): object | Errno {
  switch (type) {
    case KCMP_FILE:
      return task.files.get(index);
    case KCMP_VM:
      return task.process;
    case KCMP_SYSVSEM:
      return task.process.ipc.undoOwner;
    case KCMP_FILES:
      return task.files;
    case KCMP_FS:
      return task.fs;
    case KCMP_SIGHAND:
      return task.process.actions;
    case KCMP_IO:
      return task;
    default:
      return EINVAL;
  }
}

function kcmp(
  task: Task,
  pids: readonly [number, number],
  type: number,
  indexes: readonly [number, number],
): number | Errno {
  const orders: number[] = [];
  for (const [i, pid] of pids.entries()) {
    const target = task.kernel.pids.task(pid);
    if (target === undefined) return ESRCH;
    if (!mayInspect(task, target.process)) return EPERM;
    const object = resource(target, type, indexes[i] ?? 0);
    if (object instanceof Errno) return object;
    orders.push(orderOf(object));
  }
  const [first = 0, second = 0] = orders;
  return first === second ? 0 : first < second ? 1 : 2;
}

function unshare(task: Task, flags: number): number | Errno {
  const shared = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
  const known =
    shared |
    CLONE_FILES |
    CLONE_FS |
    CLONE_SYSVSEM |
    CLONE_NAMESPACES |
    CLONE_NEWUSER |
    CLONE_NEWTIME;
  if (flags & ~known) return EINVAL;
  if (flags & shared && task.process.tasks.size > 1) return EINVAL;
  if (flags & (CLONE_NAMESPACES | CLONE_NEWUSER | CLONE_NEWTIME)) return EPERM;
  if (flags & CLONE_FS) task.fs = task.fs.clone();
  if (flags & CLONE_FILES && task.files.shared) {
    const own = task.files.copy();
    task.files.leave();
    task.files = own;
  }
  return 0;
}

export const SYSTEM: readonly Syscall[] = [
  syscall("uname", {
    support: "full",
    args: { buf: addr },
    run: (task, { buf }) => uname(task, buf),
  }),
  syscall("sethostname", {
    support: "full",
    args: { name: addr, len: int },
    run: (task, { name: at, len }) => {
      const name = nameToSet(task, at, len);
      if (name instanceof Errno) return name;
      task.kernel.hostname = name;
      return 0;
    },
  }),
  syscall("setdomainname", {
    support: "full",
    args: { name: addr, len: int },
    run: (task, { name: at, len }) => {
      const name = nameToSet(task, at, len);
      if (name instanceof Errno) return name;
      task.kernel.domainname = name;
      return 0;
    },
  }),
  syscall("sysinfo", {
    support: { partial: "Swap, shared and buffer memory are 0; the load is the host's" },
    args: { info: addr },
    run: (task, { info }) => sysinfo(task, info),
  }),
  syscall("getrandom", {
    support: "full",
    args: { buf: outBuffer(1), buflen: size, flags: uint },
    run: (_task, { buf, flags }) => {
      if (flags & ~GRND_KNOWN) return EINVAL;
      if (flags & GRND_RANDOM && flags & GRND_INSECURE) return EINVAL;
      const length = Math.min(buf.length, RANDOM_MAX);
      buf.put(randomFillSync(new Uint8Array(length)));
      return length;
    },
  }),
  syscall("getcpu", {
    support: { partial: "Always CPU 0 of node 0 when the executor does not answer it" },
    args: { cpu: addr, node: addr, tcache: addr },
    run: (task, { cpu, node }) => {
      const zero = new Uint8Array(4);
      const error = cpu === 0 ? undefined : task.memory.copyOut(cpu, zero);
      return error ?? (node === 0 ? 0 : (task.memory.copyOut(node, zero) ?? 0));
    },
  }),
  syscall("personality", {
    support: { partial: "Of all personas only ADDR_NO_RANDOMIZE has an effect" },
    args: { persona: uint },
    run: (task, { persona }) => {
      const old = task.process.personality;
      if (persona !== PERSONALITY_QUERY) task.process.personality = persona;
      return old;
    },
  }),
  syscall("pidfd_open", {
    support: { partial: "PIDFD_THREAD is refused with EINVAL" },
    args: { pid: int, flags: uint },
    run: (task, { pid, flags }) => pidfdOpen(task, pid, flags),
  }),
  syscall("pidfd_getfd", {
    support: "full",
    args: { pidfd: fd, targetfd: fd, flags: uint },
    run: (task, { pidfd, targetfd, flags }) => pidfdGetfd(task, pidfd, targetfd, flags),
  }),
  syscall("kcmp", {
    support: { partial: "KCMP_EPOLL_TFD is refused with EINVAL" },
    args: { pid1: int, pid2: int, type: int, idx1: int, idx2: int },
    run: (task, { pid1, pid2, type, idx1, idx2 }) => kcmp(task, [pid1, pid2], type, [idx1, idx2]),
  }),
  syscall("unshare", {
    support: { partial: "CLONE_FS and CLONE_FILES; namespaces are refused with EPERM" },
    args: { flags: uint },
    run: (task, { flags }) => unshare(task, flags | 0),
  }),
  syscall("setns", {
    support: { partial: "Always EPERM for a namespace: a container has one of each" },
    args: { fd, nstype: int },
    run: (task, { fd: number }) => {
      const file = task.files.get(number);
      return file instanceof Errno ? file : EPERM;
    },
  }),
  syscall("ptrace", {
    support: { partial: "Always EPERM: processes cannot be traced" },
    args: { request: int, pid: int, addr, data: addr },
    run: () => EPERM,
  }),
  syscall("syslog", {
    support: { partial: "Always EPERM: the kernel's log is the host's" },
    args: { type: int, buf: addr, len: int },
    run: () => EPERM,
  }),
];
