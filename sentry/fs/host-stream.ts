/** Descriptors the container was started with: the standard streams of whoever runs it. */
import { EAGAIN, Errno } from "../abi/errno.ts";
import { O_ACCMODE, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG } from "../abi/file.ts";
import { call } from "../host/call.ts";
import { statFd } from "../host/fs.ts";
import { close, dup, O_NONBLOCK, pollNow, pread, read, statusFlags, write } from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import { anonymousIno, anonymousStat, PIPEFS } from "../vfs/anonymous.ts";
import { HostBackedFile, HostReadiness } from "../vfs/host-readiness.ts";
import type { Stat } from "../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { HostBacking } from "../vfs/open-file.ts";
import {
  ALWAYS_READY,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  type Unsubscribe,
  type Waiter,
} from "../vfs/poll.ts";

const O_CLOEXEC = 0o2000000;
const O_NOCTTY = 0o400;
const AT_FDCWD = -100;
/** What a pipe or terminal that can be written to at all takes without blocking: PIPE_BUF. */
const ATOMIC = 4096;
const ROOT = { uid: 0, gid: 0 };
/** Kinds whose host file can be opened again by its descriptor, for a description of our own. */
const REOPENABLE: ReadonlySet<number> = new Set([S_IFIFO, S_IFCHR, S_IFREG]);

/**
 * A host descriptor somebody else shares. Its status flags are never changed: with `O_NONBLOCK` set, the
 * shell that started us would find its terminal broken.
 */
export class HostStream extends HostBackedFile {
  readonly name: string;
  readonly #fd: number;
  readonly #regular: boolean;
  /** Transfers cannot block, because the description is our own. */
  readonly #nonblocking: boolean;
  readonly #stat: Stat;

  private constructor(reactor: Reactor, fd: number, flags: number, type: number, own: boolean) {
    super(flags & O_ACCMODE, new HostReadiness(reactor, fd));
    const ino = anonymousIno();
    this.#fd = fd;
    this.#regular = type === S_IFREG;
    this.#nonblocking = own;
    this.#stat = anonymousStat(PIPEFS, ino, (type === S_IFREG ? type : S_IFIFO) | 0o600, ROOT);
    this.name = type === S_IFREG ? `/dev/fd/${ino}` : `pipe:[${ino}]`;
  }

  /** @param fd stays the caller's. */
  static open(reactor: Reactor, fd: number): HostStream | Errno {
    const flags = statusFlags(fd);
    if (flags instanceof Errno) return flags;
    const stat = statFd(fd);
    if (stat instanceof Errno) return stat;
    const type = stat.mode & S_IFMT;
    if (REOPENABLE.has(type) && type !== S_IFREG) {
      const again = call(
        "openat",
        AT_FDCWD,
        Buffer.from(`/proc/self/fd/${fd}\0`, "latin1"),
        (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
        0,
      );
      if (!(again instanceof Errno)) return new HostStream(reactor, again, flags, type, true);
    }
    const own = dup(fd);
    return own instanceof Errno ? own : new HostStream(reactor, own, flags, type, false);
  }

  stat(): Stat | Errno {
    if (!this.#regular) return this.#stat;
    const now = statFd(this.#fd);
    return now instanceof Errno ? now : { ...this.#stat, size: now.size };
  }

  override read(buffer: IoBuffer): Transfer {
    if (!this.#ready(POLLIN)) return EAGAIN;
    return read(this.#fd, buffer.address, buffer.length);
  }

  override write(buffer: IoBuffer): Transfer {
    if (!this.#ready(POLLOUT)) return EAGAIN;
    const length = this.#blocks ? Math.min(buffer.length, ATOMIC) : buffer.length;
    return write(this.#fd, buffer.address, length);
  }

  override pread(buffer: IoBuffer, offset: number): Transfer {
    return this.#regular
      ? pread(this.#fd, buffer.address, buffer.length, offset)
      : super.pread(buffer, offset);
  }

  override pwrite(buffer: IoBuffer, offset: number): Transfer {
    return this.#regular
      ? call("pwrite64", this.#fd, buffer.address, buffer.length, offset)
      : super.pwrite(buffer, offset);
  }

  override seek(offset: number, whence: number): number | Errno {
    return call("lseek", this.#fd, offset, whence);
  }

  override poll(): number {
    return this.#regular ? ALWAYS_READY.poll() : super.poll();
  }

  override subscribe(events: number, waiter: Waiter): Unsubscribe {
    return this.#regular ? ALWAYS_READY.subscribe(events, waiter) : super.subscribe(events, waiter);
  }

  override backing(): HostBacking {
    return { fd: this.#fd, offset: 0, direct: this.#regular };
  }

  protected override release(): void {
    this.readiness.close();
    close(this.#fd);
  }

  /** Whether the host might keep us waiting inside a call. */
  get #blocks(): boolean {
    return !this.#nonblocking && !this.#regular;
  }

  #ready(events: number): boolean {
    return !this.#blocks || (pollNow(this.#fd, events) & (events | POLLHUP | POLLERR)) !== 0;
  }
}
