/** read(2), write(2), and their vectored and positioned kin. */
import { EINVAL, EOPNOTSUPP, Errno } from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/file.ts";
import type { Task } from "../kernel/task.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { addr, fd, inBuffer, int, long, MAX_RW_COUNT, outBuffer, uint } from "./args.ts";
import { type CallFrame, type Result, type Syscall, syscall } from "./define.ts";
import { roomToWrite } from "./size-limit.ts";
import {
  fileAt,
  firstOf,
  lengthOf,
  pieceOf,
  type Region,
  readableAt,
  readFrom,
  readRegion,
  readVectors,
  signalBrokenPipe,
  vectorsAt,
  waitToRead,
  writableAt,
  writeAll,
  writeTo,
  writeVectors,
} from "./transfer.ts";

const RWF_HIPRI = 0x1;
const RWF_DSYNC = 0x2;
const RWF_SYNC = 0x4;
const RWF_NOWAIT = 0x8;
/** Flags that are hints, or that the call itself carries out. */
const RWF_SUPPORTED = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT;
/** The position that means "the file's own". */
const CURRENT = -1;

/** Reads into vectors; `offset` is {@link CURRENT} for the file's own. */
function readvAt(
  task: Task,
  fdNumber: number,
  at: number,
  count: number,
  offset: number,
  nowait = false,
): Result {
  const file = readableAt(task, fdNumber);
  if (file instanceof Errno) return file;
  const vectors = vectorsAt(task, at, count);
  if (vectors instanceof Errno) return vectors;
  if (lengthOf(vectors) === 0 && count === 0) return 0;
  if (offset !== CURRENT) {
    return readVectors(task, vectors, (buffer, done) => file.pread(buffer, offset + done));
  }
  return waitToRead(
    task,
    file,
    () => readVectors(task, vectors, (buffer) => file.read(buffer, task)),
    nowait || (file.flags & O_NONBLOCK) !== 0,
  );
}

function writevAt(
  task: Task,
  fdNumber: number,
  at: number,
  count: number,
  offset: number,
  nowait = false,
): Result {
  const file = writableAt(task, fdNumber);
  if (file instanceof Errno) return file;
  const vectors = vectorsAt(task, at, count);
  if (vectors instanceof Errno) return vectors;
  if (count === 0) return 0;
  const length = lengthOf(vectors);
  const room = roomToWrite(task, file, offset === CURRENT ? undefined : offset, length);
  if (room instanceof Errno) return room;
  const allowed = room < length ? firstOf(vectors, room) : vectors;
  return writeAll(
    task,
    file,
    room,
    (done) =>
      writeVectors(task, allowed, done, (buffer) =>
        offset === CURRENT
          ? signalBrokenPipe(task, file.write(buffer, task))
          : file.pwrite(buffer, offset + done),
      ),
    nowait || (file.flags & O_NONBLOCK) !== 0,
  );
}

function synced(file: OpenFile, flags: number, result: Result): Result {
  if (typeof result !== "number" || (flags & (RWF_DSYNC | RWF_SYNC)) === 0) return result;
  return file.sync((flags & RWF_SYNC) === 0) ?? result;
}

/** The guest's buffer in register 1, `count` bytes long. */
function regionOf(frame: CallFrame, count: number): Region {
  return { addr: frame.u64(1), count: Math.min(count, MAX_RW_COUNT) };
}

const vectorArgs = { fd, iov: addr, iovcnt: int };

export const RW: readonly Syscall[] = [
  syscall("read", {
    support: "full",
    args: { fd, buf: outBuffer(2), count: long },
    run: (task, { fd: number, buf, count }, frame) => {
      const file = readableAt(task, number);
      if (file instanceof Errno) return file;
      return readFrom(task, file, buf, regionOf(frame, count));
    },
  }),
  syscall("write", {
    support: "full",
    args: { fd, buf: inBuffer(2), count: long },
    run: (task, { fd: number, buf, count }, frame) => {
      const file = writableAt(task, number);
      return file instanceof Errno ? file : writeTo(task, file, buf, regionOf(frame, count));
    },
  }),
  syscall("pread64", {
    support: "full",
    args: { fd, buf: outBuffer(2), count: long, offset: long },
    run: (task, { fd: number, buf, count, offset }, frame) => {
      if (offset < 0) return EINVAL;
      const file = readableAt(task, number);
      if (file instanceof Errno) return file;
      return readRegion(task, buf, regionOf(frame, count), (piece, done) =>
        file.pread(piece, offset + done),
      );
    },
  }),
  syscall("pwrite64", {
    support: "full",
    args: { fd, buf: inBuffer(2), count: long, offset: long },
    run: (task, { fd: number, buf, count, offset }, frame) => {
      if (offset < 0) return EINVAL;
      const file = writableAt(task, number);
      if (file instanceof Errno) return file;
      const asked = regionOf(frame, count);
      const room = roomToWrite(task, file, offset, asked.count);
      if (room instanceof Errno) return room;
      const region = { ...asked, count: room };
      const write = (done: number) => {
        const piece = pieceOf(task, buf, region, done);
        return piece instanceof Errno ? piece : file.pwrite(piece, offset + done);
      };
      return writeAll(task, file, region.count, write, true);
    },
  }),
  syscall("readv", {
    support: "full",
    args: vectorArgs,
    run: (task, { fd: number, iov, iovcnt }) => readvAt(task, number, iov, iovcnt, CURRENT),
  }),
  syscall("writev", {
    support: "full",
    args: vectorArgs,
    run: (task, { fd: number, iov, iovcnt }) => writevAt(task, number, iov, iovcnt, CURRENT),
  }),
  syscall("preadv", {
    support: "full",
    args: { ...vectorArgs, offset: long },
    run: (task, { fd: number, iov, iovcnt, offset }) =>
      offset < 0 ? EINVAL : readvAt(task, number, iov, iovcnt, offset),
  }),
  syscall("pwritev", {
    support: "full",
    args: { ...vectorArgs, offset: long },
    run: (task, { fd: number, iov, iovcnt, offset }) =>
      offset < 0 ? EINVAL : writevAt(task, number, iov, iovcnt, offset),
  }),
  syscall("preadv2", {
    support: "full",
    args: { ...vectorArgs, offset: long, offsetHigh: long, flags: uint },
    run: (task, { fd: number, iov, iovcnt, offset, flags }) => {
      if (offset < CURRENT) return EINVAL;
      if ((flags & ~RWF_SUPPORTED) !== 0) return EOPNOTSUPP;
      return readvAt(task, number, iov, iovcnt, offset, (flags & RWF_NOWAIT) !== 0);
    },
  }),
  syscall("pwritev2", {
    support: { partial: "RWF_APPEND and RWF_NOAPPEND answer EOPNOTSUPP" },
    args: { ...vectorArgs, offset: long, offsetHigh: long, flags: uint },
    run: (task, { fd: number, iov, iovcnt, offset, flags }) => {
      if (offset < CURRENT) return EINVAL;
      if ((flags & ~RWF_SUPPORTED) !== 0) return EOPNOTSUPP;
      const result = writevAt(task, number, iov, iovcnt, offset, (flags & RWF_NOWAIT) !== 0);
      const file = writableAt(task, number);
      return file instanceof Errno ? file : synced(file, flags, result);
    },
  }),
  syscall("lseek", {
    support: "full",
    args: { fd, offset: long, whence: uint },
    run: (task, { fd: number, offset, whence }) => {
      const file = fileAt(task, number);
      if (file instanceof Errno) return file;
      const SEEK_HOLE = 4;
      if (whence > SEEK_HOLE) return EINVAL;
      return file.seek(offset, whence);
    },
  }),
];
