/** Reading and writing open files as blocking calls do: what read(2), sendfile(2) and their kin share. */
import { EAGAIN, EBADF, EINTR, EINVAL, EPIPE, Errno } from "../abi/errno.ts";
import { O_NONBLOCK, O_PATH } from "../abi/file.ts";
import { SI_USER, SIGPIPE } from "../abi/signal.ts";
import { Iovec } from "../abi/structs.ts";
import { canPoll } from "../fs/event/epoll.ts";
import { blockOn, PARKED, type WaitOptions } from "../kernel/blocking.ts";
import { sendToTask } from "../kernel/send-signal.ts";
import { sentBy } from "../kernel/siginfo.ts";
import type { Task } from "../kernel/task.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { POLLIN, POLLOUT, POLLRDHUP } from "../vfs/poll.ts";
import { MAX_RW_COUNT } from "./args.ts";
import type { Result } from "./define.ts";
import { roomToWrite } from "./size-limit.ts";

/** The most vectors one call takes: UIO_MAXIOV. See readv(2). */
export const IOV_MAX = 1024;
/** Bytes the sentry gathers or scatters at once. Datagrams are smaller. */
const CHUNK = 1 << 20;

/** A file that can be waited for only so long: sockets with SO_RCVTIMEO and SO_SNDTIMEO. */
export interface TimedFile {
  /** In nanoseconds; undefined: no limit. */
  readonly readTimeoutNs: bigint | undefined;
  readonly writeTimeoutNs: bigint | undefined;
}

/** The file behind `fd`. @returns `EBADF` also for one opened with `O_PATH`. */
export function fileAt(task: Task, fd: number): OpenFile | Errno {
  const file = task.files.get(fd);
  return file instanceof Errno || (file.flags & O_PATH) === 0 ? file : EBADF;
}

/** The file behind `fd` if it is open for reading. */
export function readableAt(task: Task, fd: number): OpenFile | Errno {
  const file = fileAt(task, fd);
  return file instanceof Errno || file.readable ? file : EBADF;
}

/** The file behind `fd` if it is open for writing. */
export function writableAt(task: Task, fd: number): OpenFile | Errno {
  const file = fileAt(task, fd);
  return file instanceof Errno || file.writable ? file : EBADF;
}

/** How a wait for `file` ends early: its timeout, after which signals interrupt for good (signal(7)). */
export function patience(
  task: Task,
  file: OpenFile,
  direction: "read" | "write",
): Pick<WaitOptions, "deadlineNs" | "interrupted"> {
  const timed = file as Partial<TimedFile>;
  const timeout = direction === "read" ? timed.readTimeoutNs : timed.writeTimeoutNs;
  if (timeout === undefined) return {};
  return { deadlineNs: task.kernel.reactor.now() + timeout, interrupted: EINTR };
}

/** A file and the events of it that a call waits for. */
export interface FileWait {
  readonly file: OpenFile;
  readonly events: number;
}

/**
 * {@link blockOn} for files, which stay open during the wait although another thread may close their
 * descriptors.
 */
export function waitOn(
  task: Task,
  waits: readonly FileWait[],
  attempt: () => Transfer,
  options: WaitOptions = {},
): Result {
  const ended = () => {
    options.ended?.();
    for (const { file } of waits) file.close();
  };
  const sources = waits.map(({ file, events }) => ({ source: file, events }));
  const result = blockOn(task, sources, attempt, { ...options, ended });
  if (result === PARKED) for (const { file } of waits) file.retain();
  return result;
}

/** Waits for `file` to be readable as long as `attempt` answers `EAGAIN`, unless it is nonblocking. */
export function waitToRead(
  task: Task,
  file: OpenFile,
  attempt: () => Transfer,
  nonblocking: boolean = (file.flags & O_NONBLOCK) !== 0,
  options: WaitOptions = {},
): Result {
  if (nonblocking) return attempt();
  const waits = [{ file, events: POLLIN | POLLRDHUP }];
  return waitOn(task, waits, attempt, { ...options, ...patience(task, file, "read") });
}

/** Where a call's bytes are in the guest, when its buffer holds only the first of them. */
export interface Region {
  readonly addr: number;
  readonly count: number;
}

/** What one call moves in pieces through the sentry; more is a short transfer. */
const REGION_MAX = 64 << 20;

/**
 * Reads into `buffer`, waiting for the first byte unless the file is nonblocking.
 * @param region what the guest asked for: files that never wait fill all of it.
 */
export function readFrom(task: Task, file: OpenFile, buffer: IoBuffer, region?: Region): Result {
  if (region === undefined || canPoll(file)) {
    return waitToRead(task, file, () => file.read(buffer, task));
  }
  return readRegion(task, buffer, region, (piece) => file.read(piece, task));
}

/** Fills a region piece by piece, until one comes up short. `read` is told how much has been read. */
export function readRegion(
  task: Task,
  buffer: IoBuffer,
  { addr, count }: Region,
  read: (piece: IoBuffer, done: number) => Transfer,
): Transfer {
  const first = read(buffer, 0);
  if (first !== buffer.length || first >= count) return first;
  let done = first;
  const end = Math.min(count, REGION_MAX);
  while (done < end) {
    const piece = HostBuffer.lease(Math.min(end - done, buffer.length));
    const moved = read(piece, done);
    const stored =
      typeof moved === "number" ? task.memory.copyOut(addr + done, piece.view(moved)) : moved;
    piece.giveBack();
    if (stored !== undefined || typeof moved !== "number") break;
    done += moved;
    if (moved < piece.length) break;
  }
  return done;
}

/** The bytes of a write from `done` on: of the call's own buffer, then of the guest's memory. */
export function pieceOf(
  task: Task,
  buffer: IoBuffer,
  { addr, count }: Region,
  done: number,
): IoBuffer | Errno {
  if (done < buffer.length) {
    const within = count < buffer.length ? buffer.upTo(count) : buffer;
    return done === 0 ? within : within.from(done);
  }
  const bytes = task.memory.copyIn(addr + done, Math.min(count - done, buffer.length));
  return bytes instanceof Errno ? bytes : HostBuffer.over(bytes);
}

/**
 * Repeats `attempt`, which moves what it can of what is left, until `length` bytes have moved, waiting
 * for room unless the file is nonblocking. A failure after the first byte is not reported.
 */
export function writeAll(
  task: Task,
  file: OpenFile,
  length: number,
  attempt: (done: number) => Transfer,
  nonblocking: boolean = (file.flags & O_NONBLOCK) !== 0,
  waiting: WaitOptions = {},
): Result {
  let done = 0;
  const step = (): Transfer => {
    for (;;) {
      const moved = attempt(done);
      if (moved instanceof Errno) {
        if (moved === EAGAIN && !nonblocking) return EAGAIN;
        return done > 0 ? done : moved;
      }
      done += moved;
      if (done >= length || moved === 0) return done;
    }
  };
  if (nonblocking) return step();
  const options = { ...waiting, ...patience(task, file, "write"), progress: () => done };
  return waitOn(task, [{ file, events: POLLOUT }], step, options);
}

/** Writes a region, all of it unless the file is nonblocking or fails, and raises SIGPIPE. */
export function writeTo(task: Task, file: OpenFile, buffer: IoBuffer, region: Region): Result {
  const count = roomToWrite(task, file, undefined, region.count);
  if (count instanceof Errno) return count;
  const allowed = count < region.count ? { ...region, count } : region;
  return writeAll(task, file, count, (done) => {
    const piece = pieceOf(task, buffer, allowed, done);
    return piece instanceof Errno ? piece : signalBrokenPipe(task, file.write(piece, task));
  });
}

/** Sends SIGPIPE to a task whose write answered `EPIPE`. @returns `result`. */
export function signalBrokenPipe(task: Task, result: Transfer): Transfer {
  if (result === EPIPE) {
    sendToTask(task, sentBy(SIGPIPE, SI_USER, task.process.pid, task.credentials.ruid));
  }
  return result;
}

/** One piece of guest memory. */
export interface Vector {
  readonly base: number;
  readonly len: number;
}

/** The vectors at `addr`, cut to the most one call moves. @returns `EINVAL`, `EFAULT`. See readv(2). */
export function vectorsAt(task: Task, addr: number, count: number): Vector[] | Errno {
  if (count < 0 || count > IOV_MAX) return EINVAL;
  if (count === 0) return [];
  const raw = task.memory.copyIn(addr, count * Iovec.size);
  if (raw instanceof Errno) return raw;
  const vectors: Vector[] = [];
  let room = MAX_RW_COUNT;
  for (let i = 0; i < count; i++) {
    const { base, len } = Iovec.parse(raw.subarray(i * Iovec.size));
    if (len >= 2 ** 63) return EINVAL;
    const cut = Math.min(len, room);
    room -= cut;
    vectors.push({ base, len: cut });
  }
  return vectors;
}

/** How many bytes vectors name. */
export function lengthOf(vectors: readonly Vector[]): number {
  return vectors.reduce((sum, { len }) => sum + len, 0);
}

/** The vectors as far as they name the first `count` bytes. */
export function firstOf(vectors: readonly Vector[], count: number): Vector[] {
  let room = count;
  return vectors.map(({ base, len }) => {
    const cut = Math.min(len, room);
    room -= cut;
    return { base, len: cut };
  });
}

/** A copy of the bytes from `start` on, at most `limit` of them. @returns `EFAULT`. */
export function gather(
  task: Task,
  vectors: readonly Vector[],
  start = 0,
  limit = CHUNK,
): HostBuffer | Errno {
  const buffer = HostBuffer.allocate(Math.min(lengthOf(vectors) - start, limit));
  let skip = start;
  let at = 0;
  for (const { base, len } of vectors) {
    if (at >= buffer.length) break;
    if (skip >= len) {
      skip -= len;
      continue;
    }
    const count = Math.min(len - skip, buffer.length - at);
    const bytes = task.memory.copyIn(base + skip, count);
    if (bytes instanceof Errno) return bytes;
    buffer.put(bytes, at);
    at += count;
    skip = 0;
  }
  return buffer;
}

/** Stores bytes into vectors from byte `start` on. @returns `EFAULT`. */
export function scatter(
  task: Task,
  vectors: readonly Vector[],
  bytes: Uint8Array,
  start = 0,
): Errno | undefined {
  let skip = start;
  let at = 0;
  for (const { base, len } of vectors) {
    if (at >= bytes.length) return undefined;
    if (skip >= len) {
      skip -= len;
      continue;
    }
    const count = Math.min(len - skip, bytes.length - at);
    const error = task.memory.copyOut(base + skip, bytes.subarray(at, at + count));
    if (error !== undefined) return error;
    at += count;
    skip = 0;
  }
  return undefined;
}

/**
 * Fills vectors by `read`, piece by piece until one comes up short.
 * @param read moves bytes to a buffer; `done` have been moved before.
 */
export function readVectors(
  task: Task,
  vectors: readonly Vector[],
  read: (buffer: HostBuffer, done: number) => Transfer,
): Transfer {
  const length = lengthOf(vectors);
  let done = 0;
  do {
    const buffer = HostBuffer.allocate(Math.min(length - done, CHUNK));
    const moved = read(buffer, done);
    if (moved instanceof Errno) return done > 0 ? done : moved;
    const error = scatter(task, vectors, buffer.view(moved), done);
    if (error !== undefined) return done > 0 ? done : error;
    done += moved;
    if (moved < buffer.length) return done;
  } while (done < length);
  return done;
}

/** Moves one piece of what vectors hold by `write`. */
export function writeVectors(
  task: Task,
  vectors: readonly Vector[],
  done: number,
  write: (buffer: HostBuffer) => Transfer,
): Transfer {
  const buffer = gather(task, vectors, done);
  return buffer instanceof Errno ? buffer : write(buffer);
}
