/** Moving data between descriptors inside the kernel: sendfile(2), splice(2), tee(2), copy_file_range(2). */
import { EAGAIN, EBADF, EINVAL, EISDIR, Errno, ESPIPE } from "../abi/errno.ts";
import {
  O_APPEND,
  O_NONBLOCK,
  S_IFBLK,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  SEEK_CUR,
  SEEK_SET,
} from "../abi/file.ts";
import { i64, struct } from "../abi/struct.ts";
import { PipeEnd } from "../fs/pipe.ts";
import * as host from "../host/io.ts";
import type { Task } from "../kernel/task.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { Transfer } from "../vfs/io-buffer.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { POLLIN, POLLOUT } from "../vfs/poll.ts";
import { addr, fd, int, size, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { roomToWrite } from "./size-limit.ts";
import {
  fileAt,
  lengthOf,
  readableAt,
  readVectors,
  signalBrokenPipe,
  vectorsAt,
  waitOn,
  waitToRead,
  writableAt,
  writeAll,
  writeVectors,
} from "./transfer.ts";

const SPLICE_F_NONBLOCK = 2;
const SPLICE_FLAGS = 0xf;
/** Bytes moved through the sentry at once. */
const CHUNK = 1 << 17;
/** Bytes one call moves; what is more comes as a short count, which these calls may always return. */
const CALL_MAX = 1 << 24;

const Offset = struct({ offset: i64 });

/** The position a call works at: a file's own, or a variable of the guest's. */
interface Position {
  at: number;
  /** Stores where the call has come to. */
  store(): Errno | undefined;
}

/** @returns undefined for a file without positions; `ESPIPE` when the guest gives one for it. */
function positionOf(task: Task, file: OpenFile, pointer: number): Position | undefined | Errno {
  const own = file.seek(0, SEEK_CUR);
  if (own instanceof Errno) return pointer === 0 ? undefined : ESPIPE;
  if (pointer === 0) {
    const position: Position = {
      at: own,
      store: () => {
        const moved = file.seek(position.at, SEEK_SET);
        return moved instanceof Errno ? moved : undefined;
      },
    };
    return position;
  }
  const raw = task.memory.copyIn(pointer, Offset.size);
  if (raw instanceof Errno) return raw;
  const { offset } = Offset.parse(raw);
  if (offset < 0) return EINVAL;
  const position: Position = {
    at: offset,
    store: () => task.memory.copyOut(pointer, Offset.bytes({ offset: position.at })),
  };
  return position;
}

function typeOf(file: OpenFile): number {
  const stat = file.stat();
  return stat instanceof Errno ? 0 : stat.mode & S_IFMT;
}

/** Writes at `to`, or where the file itself stands, and moves the position. */
function writeAt(
  task: Task,
  output: OpenFile,
  to: Position | undefined,
  bytes: HostBuffer,
): Transfer {
  const moved = to === undefined ? output.write(bytes, task) : output.pwrite(bytes, to.at);
  if (typeof moved !== "number") return signalBrokenPipe(task, moved);
  if (to === undefined) return moved;
  to.at += moved;
  return to.store() ?? moved;
}

/** Moves bytes from a file that can be read again, so that a short write loses nothing. */
function fromFile(
  task: Task,
  input: OpenFile,
  from: Position,
  output: OpenFile,
  to: Position | undefined,
  length: number,
  nonblocking: boolean,
): Result {
  const limit = roomToWrite(task, output, to?.at, Math.min(length, CALL_MAX));
  if (limit instanceof Errno) return limit;
  const buffer = HostBuffer.allocate(Math.min(limit, CHUNK));
  const step = (done: number): Transfer => {
    const count = input.pread(buffer.upTo(limit - done), from.at);
    if (count instanceof Errno || count === 0) return count;
    const moved = writeAt(task, output, to, buffer.upTo(count));
    if (typeof moved !== "number") return moved;
    from.at += moved;
    return from.store() ?? moved;
  };
  return writeAll(task, output, limit, step, nonblocking);
}

/** Moves what a pipe holds now, waiting for the first byte; what has left the pipe is written out. */
function fromPipe(
  task: Task,
  input: PipeEnd,
  output: OpenFile,
  to: Position | undefined,
  length: number,
  nonblocking: boolean,
): Result {
  const room = roomToWrite(task, output, to?.at, length);
  if (room instanceof Errno) return room;
  let pending: HostBuffer | undefined;
  let written = 0;
  const attempt = (): Transfer => {
    if (output instanceof PipeEnd) {
      return signalBrokenPipe(task, host.splice(input.fd, output.fd, room));
    }
    if (pending === undefined) {
      const buffer = HostBuffer.allocate(Math.min(room, CHUNK));
      const count = input.read(buffer);
      if (count instanceof Errno || count === 0) return count;
      pending = buffer.upTo(count);
    }
    while (written < pending.length) {
      const moved = writeAt(task, output, to, pending.from(written));
      if (moved instanceof Errno) return moved === EAGAIN || written === 0 ? moved : written;
      written += moved;
    }
    return written;
  };
  if (nonblocking) {
    const first = attempt();
    if (first !== EAGAIN || pending === undefined) return first;
  }
  const waits = [
    { file: input, events: POLLIN },
    { file: output, events: POLLOUT },
  ];
  return waitOn(task, waits, attempt, { progress: () => written });
}

function spliceFiles(
  task: Task,
  ends: { fdIn: number; offIn: number; fdOut: number; offOut: number },
  length: number,
  flags: number,
): Result {
  const input = readableAt(task, ends.fdIn);
  if (input instanceof Errno) return input;
  const output = writableAt(task, ends.fdOut);
  if (output instanceof Errno) return output;
  const pipeIn = input instanceof PipeEnd;
  const pipeOut = output instanceof PipeEnd;
  if (!pipeIn && !pipeOut) return EINVAL;
  if ((pipeIn && ends.offIn !== 0) || (pipeOut && ends.offOut !== 0)) return ESPIPE;
  if ((output.flags & O_APPEND) !== 0 && !pipeOut) return EINVAL;
  const to = pipeOut ? undefined : positionOf(task, output, ends.offOut);
  if (to instanceof Errno) return to;
  const asked = (flags & SPLICE_F_NONBLOCK) !== 0;
  const pipeFlags = (pipeIn ? input.flags : 0) | (pipeOut ? output.flags : 0);
  const nonblocking = asked || (pipeFlags & O_NONBLOCK) !== 0;
  if (pipeIn) return fromPipe(task, input, output, to, length, nonblocking);

  const from = positionOf(task, input, ends.offIn);
  if (from instanceof Errno) return from;
  if (from !== undefined) return fromFile(task, input, from, output, to, length, nonblocking);
  // A stream: read no more than the pipe takes at once, since it could not be put back.
  const buffer = HostBuffer.allocate(Math.min(length, 4096));
  return waitToRead(
    task,
    input,
    () => {
      if ((output.poll() & POLLOUT) === 0) return EAGAIN;
      const count = input.read(buffer, task);
      if (count instanceof Errno || count === 0) return count;
      return signalBrokenPipe(task, output.write(buffer.upTo(count), task));
    },
    nonblocking,
  );
}

export const SPLICE: readonly Syscall[] = [
  syscall("sendfile", {
    support: "full",
    args: { outFd: fd, inFd: fd, offset: addr, count: size },
    run: (task, { outFd, inFd, offset, count }) => {
      const input = readableAt(task, inFd);
      if (input instanceof Errno) return input;
      const output = writableAt(task, outFd);
      if (output instanceof Errno) return output;
      const type = typeOf(input);
      const from = positionOf(task, input, offset);
      if (from instanceof Errno) return from;
      if ((type !== S_IFREG && type !== S_IFBLK) || from === undefined) return EINVAL;
      if ((output.flags & O_APPEND) !== 0) return EINVAL;
      const nonblocking = (output.flags & O_NONBLOCK) !== 0;
      return fromFile(task, input, from, output, undefined, count, nonblocking);
    },
  }),
  syscall("splice", {
    support: "full",
    args: { fdIn: fd, offIn: addr, fdOut: fd, offOut: addr, len: size, flags: uint },
    run: (task, { len, flags, ...ends }) => {
      if ((flags & ~SPLICE_FLAGS) !== 0) return EINVAL;
      return len === 0 ? 0 : spliceFiles(task, ends, len, flags);
    },
  }),
  syscall("tee", {
    support: "full",
    args: { fdIn: fd, fdOut: fd, len: size, flags: uint },
    run: (task, { fdIn, fdOut, len, flags }) => {
      if ((flags & ~SPLICE_FLAGS) !== 0) return EINVAL;
      const input = readableAt(task, fdIn);
      if (input instanceof Errno) return input;
      const output = writableAt(task, fdOut);
      if (output instanceof Errno) return output;
      if (!(input instanceof PipeEnd && output instanceof PipeEnd)) return EINVAL;
      if (len === 0) return 0;
      const attempt = () => signalBrokenPipe(task, host.tee(input.fd, output.fd, len));
      if (((flags & SPLICE_F_NONBLOCK) | ((input.flags | output.flags) & O_NONBLOCK)) !== 0) {
        return attempt();
      }
      const waits = [
        { file: input, events: POLLIN },
        { file: output, events: POLLOUT },
      ];
      return waitOn(task, waits, attempt);
    },
  }),
  syscall("vmsplice", {
    support: { partial: "pages are copied, never gifted" },
    args: { fd, iov: addr, count: int, flags: uint },
    run: (task, { fd: number, iov, count, flags }) => {
      if ((flags & ~SPLICE_FLAGS) !== 0) return EINVAL;
      const file = fileAt(task, number);
      if (file instanceof Errno) return file;
      if (!(file instanceof PipeEnd)) return EBADF;
      const vectors = vectorsAt(task, iov, count);
      if (vectors instanceof Errno) return vectors;
      const length = lengthOf(vectors);
      if (length === 0) return 0;
      const nonblocking = ((flags & SPLICE_F_NONBLOCK) | (file.flags & O_NONBLOCK)) !== 0;
      if (!file.writable) {
        const attempt = () => readVectors(task, vectors, (buffer) => file.read(buffer));
        return waitToRead(task, file, attempt, nonblocking);
      }
      const step = (done: number) =>
        writeVectors(task, vectors, done, (b) => signalBrokenPipe(task, file.write(b)));
      return writeAll(task, file, length, step, nonblocking);
    },
  }),
  syscall("copy_file_range", {
    support: "full",
    args: { fdIn: fd, offIn: addr, fdOut: fd, offOut: addr, len: size, flags: uint },
    run: (task, { fdIn, offIn, fdOut, offOut, len, flags }) => {
      if (flags !== 0) return EINVAL;
      const input = readableAt(task, fdIn);
      if (input instanceof Errno) return input;
      const output = writableAt(task, fdOut);
      if (output instanceof Errno) return output;
      if ((output.flags & O_APPEND) !== 0) return EBADF;
      const types = [typeOf(input), typeOf(output)];
      if (types.includes(S_IFDIR)) return EISDIR;
      if (types.some((type) => type !== S_IFREG)) return EINVAL;
      const from = positionOf(task, input, offIn);
      if (from instanceof Errno) return from;
      const to = positionOf(task, output, offOut);
      if (to instanceof Errno) return to;
      if (from === undefined || to === undefined) return EINVAL;
      if (sameFile(input, output) && from.at < to.at + len && to.at < from.at + len) return EINVAL;
      return len === 0 ? 0 : fromFile(task, input, from, output, to, len, true);
    },
  }),
];

function sameFile(a: OpenFile, b: OpenFile): boolean {
  const [x, y] = [a.stat(), b.stat()];
  return !(x instanceof Errno) && !(y instanceof Errno) && x.ino === y.ino && x.dev === y.dev;
}
