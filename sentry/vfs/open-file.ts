import { EACCES, EBADF, EINVAL, ENOTDIR, ENOTTY, ENXIO, Errno, ESPIPE } from "../abi/errno.ts";
import type { Stat } from "./inode.ts";
import type { IoBuffer, Transfer } from "./io-buffer.ts";
import { ALWAYS_READY, type Pollable, type Unsubscribe, type Waiter } from "./poll.ts";

/** What an ioctl handler may do with its argument. */
export interface IoctlContext {
  /** The raw third register. */
  readonly argument: number;
  copyIn(length: number): Uint8Array | Errno;
  copyOut(bytes: Uint8Array): Errno | undefined;
  /** Stores bytes at an address that the argument's structure names. */
  copyOutTo(addr: number, bytes: Uint8Array): Errno | undefined;
  /** Who calls: opaque here; terminals hand it back to the kernel for sessions and groups. */
  readonly caller: unknown;
}

/** A host descriptor that holds exactly a file's bytes, for mapping it or for the direct plane. */
export interface HostBacking {
  /** A descriptor of the sentry; it stays the sentry's. */
  readonly fd: number;
  /** Where the file's first byte lies behind `fd`; a multiple of the page size. */
  readonly offset: number;
  /** How many bytes from there are the file's; undefined: all that the host file has, now and later. */
  readonly length?: number;
  /** The same bytes, for ever, wherever this name is met again; undefined: they may change. Not a path. */
  readonly identity?: string | undefined;
  /**
   * Whether the host's own file offset is the guest's: then any thread may read, write, seek and poll the
   * descriptor itself and nobody can tell the difference, as long as it need not wait.
   */
  readonly direct: boolean;
}

/** What a trusted guest may use instead of asking; see docs/trusted.md. */
export interface Lease {
  /** A descriptor of the sentry; it stays the sentry's. */
  readonly fd: number;
  /** Whether the host's status flags are the guest's, so that a call may wait in the host's kernel. */
  readonly waits: boolean;
}

/**
 * An open file description, as open(2) defines it: what descriptors refer to, shared by dup(2) and
 * fork(2). Subclasses override what their kind of file can do; the defaults answer as Linux does for a
 * file that cannot.
 *
 * Nothing here blocks. A call that would block returns `EAGAIN`, whatever `O_NONBLOCK` says; the system
 * call layer waits on {@link poll} and {@link subscribe} and tries again.
 */
export abstract class OpenFile implements Pollable {
  /** Access mode and status flags (O_ACCMODE | O_APPEND | O_NONBLOCK | ...), without creation flags. */
  flags: number;
  #references = 1;
  #releaseListeners: Set<() => void> | undefined;

  constructor(flags: number) {
    this.flags = flags;
  }

  get readable(): boolean {
    return (this.flags & 0o3) !== 1;
  }

  get writable(): boolean {
    return (this.flags & 0o3) !== 0;
  }

  /** What `/proc/self/fd/N` points at: a path, or a name such as `pipe:[12]`. */
  abstract readonly name: string;

  /** See fstat(2). */
  abstract stat(): Stat | Errno;

  /**
   * Reads at the file's own offset and moves it.
   * @param _caller the task, opaque here, for files that look at who reads: terminals, signalfds.
   * @returns 0 at the end, `EAGAIN` when it would block.
   */
  read(_buffer: IoBuffer, _caller?: unknown): Transfer {
    return EINVAL;
  }

  /** Writes at the file's own offset (at the end with `O_APPEND`) and moves it. `_caller` as for reads. */
  write(_buffer: IoBuffer, _caller?: unknown): Transfer {
    return EINVAL;
  }

  /** See pread(2). */
  pread(_buffer: IoBuffer, _offset: number): Transfer {
    return ESPIPE;
  }

  /** See pwrite(2). */
  pwrite(_buffer: IoBuffer, _offset: number): Transfer {
    return ESPIPE;
  }

  /** See lseek(2). @returns the new offset. */
  seek(_offset: number, _whence: number): number | Errno {
    return ESPIPE;
  }

  /** See ftruncate(2). */
  truncate(_length: number): Errno | undefined {
    return EINVAL;
  }

  /** See fallocate(2). */
  allocate(_mode: number, _offset: number, _length: number): Errno | undefined {
    return EINVAL;
  }

  /** See fsync(2); `dataOnly` for fdatasync(2). */
  sync(_dataOnly: boolean): Errno | undefined {
    return EINVAL;
  }

  /**
   * The next directory entries, encoded as `struct linux_dirent64`, at most `capacity` bytes.
   * @returns no bytes at the end; `EINVAL` when not even one entry fits.
   */
  readdir(_capacity: number): Uint8Array | Errno {
    return ENOTDIR;
  }

  /** See ioctl(2). @returns `ENOTTY` for a request that this kind of file does not know. */
  ioctl(_request: number, _context: IoctlContext): number | Errno {
    return ENOTTY;
  }

  poll(): number {
    return ALWAYS_READY.poll();
  }

  subscribe(events: number, waiter: Waiter): Unsubscribe {
    return ALWAYS_READY.subscribe(events, waiter);
  }

  /** What can be mapped or used directly. @returns `EACCES` or `ENODEV` as mmap(2) would. */
  backing(): HostBacking | Errno {
    return EBADF;
  }

  /** What the direct plane may use; undefined: nothing. What has been lent stays in use until it is closed. */
  lease(): Lease | undefined {
    const backing = this.backing();
    if (backing instanceof Errno || !backing.direct || backing.offset !== 0) return undefined;
    return { fd: backing.fd, waits: false };
  }

  /**
   * Opens what is behind it once more, by way of `/proc/PID/fd`. By default the description is shared,
   * which only its offset and status flags can tell. @returns `EACCES`; `ENXIO` for sockets.
   */
  reopen(flags: number): OpenFile | Errno {
    const access = flags & 0o3;
    if ((access !== 1 && !this.readable) || (access !== 0 && !this.writable)) return EACCES;
    const stat = this.stat();
    if (stat instanceof Errno) return stat;
    return (stat.mode & 0o170000) === 0o140000 ? ENXIO : this.retain();
  }

  /** The flags that `F_SETFL` may change have changed; keep a host descriptor in step. */
  flagsChanged(): void {}

  /** A descriptor of `table` that refers to it is closed: POSIX record locks of that table go. */
  closedIn(_table: object): void {}

  /** One more descriptor refers to this description. */
  retain(): this {
    this.#references++;
    return this;
  }

  /** One descriptor fewer; the last one releases what is behind it. */
  close(): void {
    if (--this.#references > 0) return;
    for (const listener of this.#releaseListeners ?? []) listener();
    this.#releaseListeners = undefined;
    this.release();
  }

  /** Calls `listener` once, just before the file is released: epoll(7) forgets it then. */
  onRelease(listener: () => void): Unsubscribe {
    this.#releaseListeners ??= new Set();
    this.#releaseListeners.add(listener);
    return () => this.#releaseListeners?.delete(listener);
  }

  /** Called once, when the last descriptor is gone. */
  protected abstract release(): void;
}
