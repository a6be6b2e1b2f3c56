/**
 * Transfers and descriptors of the host. Every descriptor made here is close-on-exec. Addresses are those
 * of buffers the caller keeps alive, such as {@link HostMemory}.
 */
import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";
import { HostMemory } from "./memory.ts";

export const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const F_DUPFD_CLOEXEC = 1030;
const FIONREAD = 0x541b;
const POLLFD_SIZE = 8;
/** Descriptors one {@link pollAll} asks about; more are asked in several calls. */
const POLL_BATCH = 256;

const word = new HostMemory(64);
const pollfds = new HostMemory(POLLFD_SIZE * POLL_BATCH);
const NO_WAIT = new HostMemory(16);

/** See read(2). */
export function read(fd: number, address: number, length: number): number | Errno {
  return call("read", fd, address, length);
}

/** See write(2). Node ignores SIGPIPE, so that a broken pipe is `EPIPE` and nothing else. */
export function write(fd: number, address: number, length: number): number | Errno {
  return call("write", fd, address, length);
}

/** See pread(2). */
export function pread(fd: number, address: number, length: number, offset: number): number | Errno {
  return call("pread64", fd, address, length, offset);
}

/** Reads what `bytes` has room for. See read(2). */
export function readBytes(fd: number, bytes: Uint8Array): number | Errno {
  return call("read", fd, bytes, bytes.length);
}

/** See write(2). */
export function writeBytes(fd: number, bytes: Uint8Array): number | Errno {
  return call("write", fd, bytes, bytes.length);
}

/** Releases a descriptor of the sentry. */
export function close(fd: number): void {
  call("close", fd);
}

/** Another descriptor of the same open file description. */
export function dup(fd: number): number | Errno {
  return call("fcntl", fd, F_DUPFD_CLOEXEC, 0);
}

/** See pipe2(2). @returns `[read end, write end]`. */
export function pipe(flags: number): [number, number] | Errno {
  const result = call("pipe2", word.bytes, flags | O_CLOEXEC);
  if (result instanceof Errno) return result;
  return [word.view.getInt32(0, true), word.view.getInt32(4, true)];
}

/** The status flags of the open file description, `F_GETFL`. */
export function statusFlags(fd: number): number | Errno {
  return call("fcntl", fd, F_GETFL, 0);
}

/** Sets the status flags, `F_SETFL`. */
export function setStatusFlags(fd: number, flags: number): Errno | undefined {
  const result = call("fcntl", fd, F_SETFL, flags);
  return result instanceof Errno ? result : undefined;
}

/** See `F_GETPIPE_SZ` in fcntl(2). */
export function pipeSize(fd: number): number | Errno {
  return call("fcntl", fd, F_GETPIPE_SZ, 0);
}

/** See `F_SETPIPE_SZ` in fcntl(2). */
export function setPipeSize(fd: number, size: number): number | Errno {
  return call("fcntl", fd, F_SETPIPE_SZ, size);
}

/** Bytes that can be read at once, `FIONREAD`. */
export function available(fd: number): number | Errno {
  const result = call("ioctl", fd, FIONREAD, word.bytes);
  return result instanceof Errno ? result : word.view.getInt32(0, true);
}

/**
 * Opens the file behind `fd` once more: a description of its own, so that its flags are nobody else's.
 * @returns the host's error where that is impossible (sockets, `EACCES`).
 */
export function reopen(fd: number, flags: number): number | Errno {
  return call("openat", AT_FDCWD, Buffer.from(`/proc/self/fd/${fd}\0`), flags | O_CLOEXEC, 0);
}

/** The file type and permission bits, inode and device behind `fd`. */
export function identify(
  fd: number,
): { readonly mode: number; readonly ino: number; readonly dev: number } | Errno {
  const statx = new HostMemory(256);
  const AT_EMPTY_PATH = 0x1000;
  const STATX_TYPE_MODE_INO = 0x1 | 0x2 | 0x100;
  const result = call(
    "statx",
    fd,
    Buffer.from("\0"),
    AT_EMPTY_PATH,
    STATX_TYPE_MODE_INO,
    statx.bytes,
  );
  if (result instanceof Errno) return result;
  const { view } = statx;
  return {
    mode: view.getUint16(28, true),
    ino: Number(view.getBigUint64(32, true)),
    dev: view.getUint32(136, true) * 2 ** 20 + view.getUint32(140, true),
  };
}

/** Which of `events` (and POLLERR, POLLHUP, POLLNVAL) `fd` has now. */
export function pollNow(fd: number, events: number): number {
  return pollAll([{ fd, events }])[0] ?? 0;
}

/** {@link pollNow} for many descriptors with few host calls. */
export function pollAll(
  wanted: readonly { readonly fd: number; readonly events: number }[],
): number[] {
  const found: number[] = [];
  for (let start = 0; start < wanted.length; start += POLL_BATCH) {
    const batch = wanted.slice(start, start + POLL_BATCH);
    batch.forEach(({ fd, events }, i) => {
      pollfds.view.setInt32(i * POLLFD_SIZE, fd, true);
      pollfds.view.setUint32(i * POLLFD_SIZE + 4, events & 0xffff, true);
    });
    const count = call("ppoll", pollfds.bytes, batch.length, NO_WAIT.bytes, null, 8);
    for (let i = 0; i < batch.length; i++) {
      found.push(count instanceof Errno ? 0 : pollfds.view.getUint16(i * POLLFD_SIZE + 6, true));
    }
  }
  return found;
}

/** See splice(2); never waits. */
export function splice(from: number, to: number, length: number): number | Errno {
  const SPLICE_F_NONBLOCK = 2;
  return call("splice", from, null, to, null, length, SPLICE_F_NONBLOCK);
}

/** See tee(2); never waits. */
export function tee(from: number, to: number, length: number): number | Errno {
  const SPLICE_F_NONBLOCK = 2;
  return call("tee", from, to, length, SPLICE_F_NONBLOCK);
}

/** See eventfd(2). The descriptor is nonblocking. */
export function eventfd(initial: number, flags: number): number | Errno {
  return call("eventfd2", initial, flags | O_NONBLOCK | O_CLOEXEC);
}
