/** ioctl(2): what concerns descriptors here; everything else is the file's own business. */
import { EFAULT, ENOTTY, EOPNOTSUPP, Errno } from "../abi/errno.ts";
import {
  O_ASYNC,
  O_CLOEXEC,
  O_NONBLOCK,
  openFlags,
  S_IFMT,
  S_IFREG,
  SEEK_CUR,
} from "../abi/file.ts";
import { TIOCGPTPEER } from "../abi/tty.ts";
import { PtyMaster } from "../fs/tty/pty.ts";
import type { Task } from "../kernel/task.ts";
import { interfaceIoctl } from "../net/interfaces.ts";
import { intBytes } from "../net/options.ts";
import { Socket } from "../net/socket.ts";
import type { IoctlContext, OpenFile } from "../vfs/open-file.ts";
import { addr, fd, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { installFile } from "./fd.ts";
import { fileAt } from "./transfer.ts";

const FIONBIO = 0x5421;
const FIONREAD = 0x541b;
const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;
const FIOASYNC = 0x5452;
const FICLONE = 0x40049409;
const FICLONERANGE = 0x4020940d;

type Request = (task: Task, file: OpenFile, context: IoctlContext, fd: number) => Result;

/** Sets or clears a status flag by the `int` the argument points at. */
function setFlag(flag: number): Request {
  return (_task, file, context) => {
    const raw = context.copyIn(4);
    if (raw instanceof Errno) return EFAULT;
    const wanted = raw.some((byte) => byte !== 0);
    file.flags = wanted ? file.flags | flag : file.flags & ~flag;
    file.flagsChanged();
    return 0;
  };
}

/** Requests that any descriptor answers. */
const REQUESTS: ReadonlyMap<number, Request> = new Map<number, Request>([
  [FIOCLEX, (task, _file, _context, number) => task.files.setCloexec(number, true) ?? 0],
  [FIONCLEX, (task, _file, _context, number) => task.files.setCloexec(number, false) ?? 0],
  [FIONBIO, setFlag(O_NONBLOCK)],
  [FIOASYNC, setFlag(O_ASYNC)],
  [
    TIOCGPTPEER,
    (task, file, { argument }) => {
      if (!(file instanceof PtyMaster)) return ENOTTY;
      const flags = openFlags(task.process.isa, argument);
      const peer = file.openPeer(flags & ~O_CLOEXEC);
      return peer instanceof Errno ? peer : installFile(task, peer, (flags & O_CLOEXEC) !== 0);
    },
  ],
  // Tools that would share extents copy the bytes instead.
  [FICLONE, () => EOPNOTSUPP],
  [FICLONERANGE, () => EOPNOTSUPP],
]);

/** What remains of a regular file, `FIONREAD`. */
function remaining(file: OpenFile, context: IoctlContext): number | Errno {
  const stat = file.stat();
  const at = file.seek(0, SEEK_CUR);
  if (stat instanceof Errno || at instanceof Errno) return ENOTTY;
  if ((stat.mode & S_IFMT) !== S_IFREG) return ENOTTY;
  return context.copyOut(intBytes(Math.max(stat.size - at, 0))) ?? 0;
}

export const IOCTL: readonly Syscall[] = [
  syscall("ioctl", {
    support: { partial: "descriptors, terminals, sockets and interfaces; others answer ENOTTY" },
    args: { fd, request: uint, arg: addr },
    run: (task, { fd: number, request, arg: argument }) => {
      const file = fileAt(task, number);
      if (file instanceof Errno) return file;
      const context: IoctlContext = {
        argument,
        copyIn: (length) => task.memory.copyIn(argument, length),
        copyOut: (bytes) => task.memory.copyOut(argument, bytes),
        copyOutTo: (at, bytes) => task.memory.copyOut(at, bytes),
        caller: task,
      };
      const common = REQUESTS.get(request);
      if (common !== undefined) return common(task, file, context, number);
      const own = file.ioctl(request, context);
      if (own !== ENOTTY) return own;
      if (request === FIONREAD) return remaining(file, context);
      return file instanceof Socket
        ? interfaceIoctl(task.kernel.network.interfaces(), request, context)
        : ENOTTY;
    },
  }),
];
