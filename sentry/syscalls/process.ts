/** Making, replacing, ending and awaiting processes. */
import type { ByteString } from "../abi/bytes.ts";
import { E2BIG, EAGAIN, EBADF, EINVAL, ENAMETOOLONG, Errno, ESRCH, ETXTBSY } from "../abi/errno.ts";
import { CLONE_ARGS_SIZE_VER0, CloneArgs } from "../abi/process-structs.ts";
import { SIGCHLD, SIGMAX } from "../abi/signal.ts";
import { blockOn, PARKED, type Parked } from "../kernel/blocking.ts";
import {
  CLONE_CLEAR_SIGHAND,
  CLONE_DETACHED,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  cloneTask,
} from "../kernel/clone.ts";
import { execProgram } from "../kernel/exec.ts";
import { exitTask } from "../kernel/exit.ts";
import { exitGroup } from "../kernel/exit-group.ts";
import { RLIMIT_STACK } from "../kernel/limits.ts";
import {
  ARG_STRLEN_MAX,
  ARGUMENTS_MAX,
  type ExecRequest,
  type Executable,
  loadProgram,
} from "../kernel/load-program.ts";
import { PidFile } from "../kernel/pid-file.ts";
import type { Task } from "../kernel/task.ts";
import { isOpenForWriting } from "../kernel/text-busy.ts";
import * as wait from "../kernel/wait.ts";
import { addr, dirfd, int, path, size, uint } from "./args.ts";
import { startAt } from "./at.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { rusageBytes } from "./rusage.ts";

const PAGE = 4096;
const POINTER = 8;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const CSIGNAL = 0xff;
const P_ALL = 0;
const P_PID = 1;
const P_PGID = 2;
const P_PIDFD = 3;
/** What waitid(2) stores of its `siginfo_t`: up to `si_status`. */
const WAITID_INFO_SIZE = 28;

const FORK = {
  clearHandlers: false,
  stack: 0,
  tls: 0,
  parentTid: 0,
  childTid: 0,
  pidfd: 0,
} as const;

function clone(
  task: Task,
  flags: number,
  stack: number,
  parentTid: number,
  rest: readonly [number, number],
): Result {
  const [fourth, fifth] = rest;
  // The instruction sets disagree about the order of the last two arguments.
  const [childTid, tls] = task.process.isa === "x86_64" ? [fourth, fifth] : [fifth, fourth];
  if (flags & CLONE_PIDFD && flags & CLONE_PARENT_SETTID) return EINVAL;
  return cloneTask(task, {
    flags: flags & ~CSIGNAL,
    clearHandlers: false,
    exitSignal: flags & CSIGNAL,
    stack,
    tls,
    parentTid,
    childTid,
    pidfd: parentTid,
  });
}

function clone3(task: Task, at: number, length: number): Result {
  if (length < CLONE_ARGS_SIZE_VER0) return EINVAL;
  if (length > PAGE) return E2BIG;
  const raw = task.memory.copyIn(at, length);
  if (raw instanceof Errno) return raw;
  if (raw.subarray(CloneArgs.size).some((byte) => byte !== 0)) return E2BIG;
  const padded = new Uint8Array(CloneArgs.size);
  padded.set(raw.subarray(0, CloneArgs.size));
  const args = CloneArgs.parse(padded);
  const clearHandlers = Math.floor(args.flags / CLONE_CLEAR_SIGHAND) % 2 === 1;
  const flags = args.flags - (clearHandlers ? CLONE_CLEAR_SIGHAND : 0);
  if (flags >= CLONE_CLEAR_SIGHAND || flags & (CLONE_DETACHED | (CSIGNAL & ~0x80))) return EINVAL;
  if (args.exitSignal > SIGMAX || args.setTidSize !== 0) return EINVAL;
  if (flags & CLONE_THREAD && args.exitSignal !== 0) return EINVAL;
  if ((args.stack === 0) !== (args.stackSize === 0)) return EINVAL;
  return cloneTask(task, {
    flags: flags | 0,
    clearHandlers,
    exitSignal: args.exitSignal,
    stack: args.stack + args.stackSize,
    tls: args.tls,
    parentTid: args.parentTid,
    childTid: args.childTid,
    pidfd: args.pidfd,
  });
}

/** The strings of a null-terminated array of pointers. @returns `E2BIG` beyond what any limit allows. */
function stringsAt(task: Task, at: number): ByteString[] | Errno {
  const strings: ByteString[] = [];
  if (at === 0) return strings;
  let total = 0;
  for (let pointer = at; ; ) {
    // Never across a page: the array may end at the end of the mapped memory.
    const room = PAGE - (pointer % PAGE);
    const chunk = task.memory.copyIn(pointer, room < POINTER ? POINTER : room - (room % POINTER));
    if (chunk instanceof Errno) return chunk;
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let offset = 0; offset < chunk.length; offset += POINTER) {
      const addr = Number(view.getBigUint64(offset, true));
      if (addr === 0) return strings;
      const string = task.memory.copyInString(addr, ARG_STRLEN_MAX);
      if (string instanceof Errno) return string === ENAMETOOLONG ? E2BIG : string;
      total += string.length + 1 + POINTER;
      if (total > ARGUMENTS_MAX) return E2BIG;
      strings.push(string);
    }
    pointer += chunk.length;
  }
}

/** Refuses a program that some process could be writing to. */
function unlessBusy(task: Task, program: Executable | Errno): Executable | Errno {
  if (program instanceof Errno || !isOpenForWriting(program.inode, task.kernel.pids))
    return program;
  program.file.close();
  return ETXTBSY;
}

function execute(
  task: Task,
  name: ByteString,
  argvAt: number,
  envpAt: number,
  open: ExecRequest["open"],
): Errno | Parked {
  const argv = stringsAt(task, argvAt);
  if (argv instanceof Errno) return argv;
  const envp = stringsAt(task, envpAt);
  if (envp instanceof Errno) return envp;
  const { process, kernel, credentials } = task;
  const loaded = loadProgram({
    name,
    argv,
    envp,
    open: () => unlessBusy(task, open()),
    openInterpreter: (interpreter) => kernel.openProgram(task, task.fs.cwd, interpreter),
    credentials,
    noNewPrivileges: process.noNewPrivileges,
    personality: process.personality,
    stackLimit: process.limits.soft(RLIMIT_STACK),
    auxv: kernel.machine.auxv,
  });
  if (loaded instanceof Errno) return loaded;
  const error = execProgram(task, loaded);
  if (error !== undefined) return error;
  task.leaveCall(0);
  return PARKED;
}

function waitTarget(task: Task, pid: number): wait.WaitTarget {
  if (pid === -1) return { kind: "all" };
  if (pid > 0) return { kind: "process", process: task.kernel.pids.process(pid) };
  return { kind: "group", pgid: pid === 0 ? task.process.group.pgid : -pid };
}

/** Waits for a child; `told` stores what was learnt, `none` what there is to say of nothing. */
function waitFor(
  task: Task,
  target: wait.WaitTarget,
  options: number,
  told: (report: wait.ChildReport) => number | Errno,
  none: () => number | Errno,
): Result {
  const attempt = () => {
    const report = wait.waitForChild(task, target, options);
    return report instanceof Errno ? report : told(report);
  };
  if (options & wait.WNOHANG) {
    const result = attempt();
    return result === EAGAIN ? none() : result;
  }
  const { childEvents } = task.process;
  const source = {
    poll: () => 0,
    subscribe: childEvents.subscribe.bind(childEvents),
  };
  return blockOn(task, [{ source, events: 1 }], attempt);
}

function wait4(
  task: Task,
  pid: number,
  statusAt: number,
  options: number,
  rusageAt: number,
): Result {
  const known =
    wait.WNOHANG |
    wait.WUNTRACED |
    wait.WCONTINUED |
    wait.__WNOTHREAD |
    wait.__WCLONE |
    wait.__WALL;
  if (options & ~known) return EINVAL;
  if (pid === -0x8000_0000) return ESRCH;
  const told = ({ pid: child, status, usage }: wait.ChildReport) => {
    if (statusAt !== 0) {
      const error = task.memory.copyOut(statusAt, int32(status));
      if (error !== undefined) return error;
    }
    const error = rusageAt === 0 ? undefined : task.memory.copyOut(rusageAt, rusageBytes(usage));
    return error ?? child;
  };
  return waitFor(task, waitTarget(task, pid), options | wait.WEXITED, told, () => 0);
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function waitidTarget(task: Task, idtype: number, id: number): wait.WaitTarget | Errno {
  switch (idtype) {
    case P_ALL:
      return { kind: "all" };
    case P_PID:
      return id > 0 ? { kind: "process", process: task.kernel.pids.process(id) } : EINVAL;
    case P_PGID:
      return id >= 0 ? { kind: "group", pgid: id || task.process.group.pgid } : EINVAL;
    case P_PIDFD: {
      const file = id < 0 ? EINVAL : task.files.get(id);
      if (file instanceof Errno) return file;
      return file instanceof PidFile ? { kind: "process", process: file.process } : EBADF;
    }
    default:
      return EINVAL;
  }
}

function waitid(
  task: Task,
  idtype: number,
  id: number,
  infoAt: number,
  options: number,
  rusageAt: number,
): Result {
  const states = wait.WEXITED | wait.WSTOPPED | wait.WCONTINUED;
  const known =
    states | wait.WNOHANG | wait.WNOWAIT | wait.__WNOTHREAD | wait.__WCLONE | wait.__WALL;
  if (options & ~known || !(options & states)) return EINVAL;
  const target = waitidTarget(task, idtype, id);
  if (target instanceof Errno) return target;
  const store = (info: Uint8Array) =>
    infoAt === 0 ? undefined : task.memory.copyOut(infoAt, info.subarray(0, WAITID_INFO_SIZE));
  const told = ({ info, usage }: wait.ChildReport) => {
    const error = rusageAt === 0 ? undefined : task.memory.copyOut(rusageAt, rusageBytes(usage));
    return error ?? store(info.bytes) ?? 0;
  };
  return waitFor(task, target, options, told, () => store(new Uint8Array(WAITID_INFO_SIZE)) ?? 0);
}

export const PROCESS: readonly Syscall[] = [
  syscall("fork", {
    support: "full",
    args: {},
    run: (task) => cloneTask(task, { ...FORK, flags: 0, exitSignal: SIGCHLD }),
  }),
  syscall("vfork", {
    support: "full",
    args: {},
    run: (task) => cloneTask(task, { ...FORK, flags: CLONE_VFORK | CLONE_VM, exitSignal: SIGCHLD }),
  }),
  syscall("clone", {
    support: {
      partial:
        "CLONE_VM for a process suspends the caller as if with CLONE_VFORK, CLONE_VFORK without CLONE_VM does " +
        "not; namespaces are refused with EPERM; CLONE_IO, CLONE_SYSVSEM, CLONE_PTRACE and CLONE_UNTRACED " +
        "mean nothing",
    },
    args: { flags: uint, stack: addr, parentTid: addr, fourth: addr, fifth: addr },
    run: (task, { flags, stack, parentTid, fourth, fifth }) =>
      clone(task, flags | 0, stack, parentTid, [fourth, fifth]),
  }),
  syscall("clone3", {
    support: {
      partial: "As clone; set_tid and CLONE_INTO_CGROUP are refused with EINVAL",
    },
    args: { args: addr, size },
    run: (task, { args, size: length }) => clone3(task, args, length),
  }),
  syscall("execve", {
    support: {
      partial:
        "File capabilities are not honoured; a program that runs can be opened for writing (no ETXTBSY there)",
    },
    args: { path, argv: addr, envp: addr },
    run: (task, { path: name, argv, envp }) =>
      execute(task, name, argv, envp, () => task.kernel.openProgram(task, task.fs.cwd, name)),
  }),
  syscall("execveat", {
    support: { partial: "As execve" },
    args: { dirfd, path, argv: addr, envp: addr, flags: uint },
    run: (task, { dirfd: fd, path: name, argv, envp, flags }) => {
      if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return EINVAL;
      const start = startAt(task, fd, name);
      if (start instanceof Errno) return start;
      const options = {
        noFollow: (flags & AT_SYMLINK_NOFOLLOW) !== 0,
        emptyPath: (flags & AT_EMPTY_PATH) !== 0,
      };
      // What an interpreter is told to open when there is no name in the file tree for it.
      const shown =
        fd === AT_FDCWD || name.startsWith("/")
          ? name
          : `/dev/fd/${fd}${name === "" ? "" : `/${name}`}`;
      return execute(task, shown, argv, envp, () =>
        task.kernel.openProgram(task, start, name, options),
      );
    },
  }),
  syscall("exit", {
    support: "full",
    args: { status: int },
    run: (task, { status }) => {
      exitTask(task, status);
      return PARKED;
    },
  }),
  syscall("exit_group", {
    support: "full",
    args: { status: int },
    run: (task, { status }) => {
      exitGroup(task.process, (status & 0xff) << 8);
      return PARKED;
    },
  }),
  syscall("wait4", {
    support: "full",
    args: { pid: int, status: addr, options: uint, rusage: addr },
    run: (task, { pid, status, options, rusage }) => wait4(task, pid, status, options, rusage),
  }),
  syscall("waitid", {
    support: "full",
    args: { idtype: int, id: int, info: addr, options: uint, rusage: addr },
    run: (task, { idtype, id, info, options, rusage }) =>
      waitid(task, idtype, id, info, options, rusage),
  }),
];
