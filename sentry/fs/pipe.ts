/** Pipes and FIFOs: host pipes, so that atomicity, capacity and packets are the host's. See pipe(7), fifo(7). */
import { EBADF, EINVAL, ENOTTY, ENXIO, EPERM, Errno } from "../abi/errno.ts";
import {
  O_ACCMODE,
  O_DIRECT,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  S_IFIFO,
} from "../abi/file.ts";
import {
  available,
  close,
  pipe,
  pipeSize,
  read,
  reopen,
  setPipeSize,
  setStatusFlags,
  write,
} from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import { anonymousIno, anonymousStat, type Owner, PIPEFS } from "../vfs/anonymous.ts";
import { HostBackedFile, HostReadiness } from "../vfs/host-readiness.ts";
import type { Stat } from "../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { HostBacking, IoctlContext, Lease } from "../vfs/open-file.ts";
import { POLLIN, POLLOUT, type Pollable, WaitQueue } from "../vfs/poll.ts";

const FIONREAD = 0x541b;
const O_PATH = 0o10000000;
/** `/proc/sys/fs/pipe-max-size`: what a caller without CAP_SYS_RESOURCE may ask for. */
const PIPE_MAX_SIZE = 1 << 20;
const INT_MAX = 0x7fffffff;
/** Status flags that change what a transfer does. */
const LENT_FLAGS = O_NONBLOCK | O_DIRECT;

/** One end of a pipe, or an open FIFO. */
export class PipeEnd extends HostBackedFile {
  readonly name: string;
  readonly #stat: () => Stat | Errno;
  readonly #released: () => void;
  #fd: number | undefined;
  #lent: number | undefined;

  /**
   * @param identity what fstat(2) and `/proc/self/fd` show.
   * @param fd its descriptor, nonblocking, which it takes over; undefined while a FIFO waits for a reader.
   * @param released called when the last descriptor is gone.
   */
  constructor(
    flags: number,
    reactor: Reactor,
    fd: number | undefined,
    identity: { readonly name: string; readonly stat: () => Stat | Errno },
    released: () => void = () => {},
  ) {
    super(flags, new HostReadiness(reactor, fd));
    this.#fd = fd;
    this.name = identity.name;
    this.#stat = identity.stat;
    this.#released = released;
  }

  /** The host descriptor. */
  get fd(): number {
    return this.#fd ?? -1;
  }

  /** Gives a FIFO's end the descriptor it waited for. */
  attach(fd: number): void {
    this.#fd = fd;
    this.readiness.attach(fd);
  }

  /** Nothing is ready, not even an end of file: nobody has ever written. Ends with {@link attach}. */
  hideReadiness(): void {
    this.readiness.attach(undefined, 0);
  }

  stat(): Stat | Errno {
    return this.#stat();
  }

  override read(buffer: IoBuffer): Transfer {
    return read(this.fd, buffer.address, buffer.length);
  }

  /** @returns `EPIPE` when nobody reads; the caller of write(2) is then sent SIGPIPE. */
  override write(buffer: IoBuffer): Transfer {
    return write(this.fd, buffer.address, buffer.length);
  }

  override ioctl(request: number, context: IoctlContext): number | Errno {
    if (request !== FIONREAD) return ENOTTY;
    const count = available(this.fd);
    if (count instanceof Errno) return count;
    const out = new Uint8Array(4);
    new DataView(out.buffer).setInt32(0, count, true);
    return context.copyOut(out) ?? 0;
  }

  /** `F_GETPIPE_SZ`. */
  capacity(): number | Errno {
    return pipeSize(this.fd);
  }

  /** `F_SETPIPE_SZ`. @returns the size it got; `EBUSY` when it holds more, `EPERM` beyond the limit. */
  setCapacity(size: number): number | Errno {
    if (size < 0 || size > INT_MAX) return EINVAL;
    if (size > PIPE_MAX_SIZE) return EPERM;
    return setPipeSize(this.fd, size);
  }

  override flagsChanged(): void {
    setStatusFlags(this.fd, O_NONBLOCK | (this.flags & O_DIRECT));
    if (this.#lent !== undefined) setStatusFlags(this.#lent, this.flags & LENT_FLAGS);
  }

  /** A description of the same end that has the guest's flags, where the sentry's own never waits. */
  override lease(): Lease | undefined {
    if (this.readiness.fd === undefined) return undefined;
    if (this.#lent === undefined) {
      const opened = reopen(this.fd, this.flags & (O_ACCMODE | LENT_FLAGS));
      if (opened instanceof Errno) return undefined;
      this.#lent = opened;
    }
    return { fd: this.#lent, waits: true };
  }

  override backing(): HostBacking | Errno {
    if (this.#fd === undefined) return EBADF;
    return { fd: this.#fd, offset: 0, direct: false };
  }

  protected override release(): void {
    this.readiness.close();
    if (this.#fd !== undefined) close(this.#fd);
    if (this.#lent !== undefined) close(this.#lent);
    this.#fd = undefined;
    this.#lent = undefined;
    this.#released();
  }
}

/**
 * A new pipe.
 * @param flags `O_NONBLOCK`, `O_DIRECT`.
 * @returns `[read end, write end]`, or `EMFILE`, `ENFILE` of the host.
 */
export function makePipe(
  reactor: Reactor,
  flags: number,
  owner: Owner,
): [PipeEnd, PipeEnd] | Errno {
  const ends = pipe(O_NONBLOCK | (flags & O_DIRECT));
  if (ends instanceof Errno) return ends;
  const ino = anonymousIno();
  const stat = anonymousStat(PIPEFS, ino, S_IFIFO | 0o600, owner);
  const identity = { name: `pipe:[${ino}]`, stat: () => stat };
  return [
    new PipeEnd(O_RDONLY | flags, reactor, ends[0], identity),
    new PipeEnd(O_WRONLY | flags, reactor, ends[1], identity),
  ];
}

/** An end of a FIFO whose open(2) has to wait for the other end. */
export interface PendingFifoOpen {
  /** The open end; closed by the caller when the wait is interrupted. */
  readonly file: PipeEnd;
  /** Whether the other end has come; asked again after each event of `source`. */
  ready(): boolean;
  readonly source: Pollable;
}

/**
 * What a FIFO's name stands for while it is open. A host pipe is opened afresh for every end by way of a
 * path descriptor, so that the host counts readers and writers, with all that follows for EOF and POLLHUP.
 */
export class Fifo {
  readonly #reactor: Reactor;
  readonly #queue = new WaitQueue();
  #pathFd: number | undefined;
  #readers = 0;
  #writers = 0;
  /** How many have ever come: one may have left again before a waiting opener looks. */
  #readersEver = 0;
  #writersEver = 0;

  constructor(reactor: Reactor) {
    this.#reactor = reactor;
  }

  /**
   * Opens an end; never waits.
   * @returns `ENXIO` for `O_WRONLY | O_NONBLOCK` without a reader, or a host error.
   */
  open(
    flags: number,
    identity: { readonly name: string; readonly stat: () => Stat | Errno },
  ): PipeEnd | PendingFifoOpen | Errno {
    const access = flags & O_ACCMODE;
    const reads = access !== O_WRONLY;
    const writes = access !== O_RDONLY;
    const waits = (flags & O_NONBLOCK) === 0 && access !== O_RDWR;
    if (access === O_WRONLY && this.#readers === 0 && !waits) return ENXIO;

    const lacksReader = access === O_WRONLY && this.#readers === 0;
    const fd = lacksReader ? undefined : this.#openHost(flags);
    if (fd instanceof Errno) return fd;
    if (reads) this.#readersEver++;
    if (writes) this.#writersEver++;
    if (reads) this.#readers++;
    if (writes) this.#writers++;
    const file = new PipeEnd(flags, this.#reactor, fd, identity, () => this.#left(reads, writes));
    if (!writes) this.#awaitFirstWriter(file);
    this.#queue.wake(POLLIN | POLLOUT);

    const others = reads ? this.#writers : this.#readers;
    if (!waits || others > 0) return file;
    const seen = reads ? this.#writersEver : this.#readersEver;
    return {
      file,
      source: {
        poll: () => 0,
        subscribe: (events, waiter) => this.#queue.subscribe(events, waiter),
      },
      ready: () => {
        if ((reads ? this.#writersEver : this.#readersEver) === seen) return false;
        return reads || this.#attachWriter(file, flags);
      },
    };
  }

  /** The host calls a pipe without writers hung up; a FIFO has hung up only after its first writer. */
  #awaitFirstWriter(file: PipeEnd): void {
    const { fd } = file;
    if (this.#writers > 0 || available(fd) !== 0) return;
    file.hideReadiness();
    const unsubscribe = this.#queue.subscribe(POLLOUT, () => {
      if (this.#writers === 0) return;
      unsubscribe();
      file.attach(fd);
    });
    file.onRelease(unsubscribe);
  }

  /** Gives a writer that had to wait its descriptor. */
  #attachWriter(file: PipeEnd, flags: number): boolean {
    // The reader may have left already; the writer then opens a pipe that breaks at once, as on Linux.
    const reader = this.#readers === 0 ? this.#openHost(O_RDONLY) : undefined;
    const fd = this.#openHost(flags);
    if (typeof reader === "number") close(reader);
    if (fd instanceof Errno) return false;
    file.attach(fd);
    return true;
  }

  #openHost(flags: number): number | Errno {
    if (this.#pathFd === undefined) {
      const ends = pipe(O_NONBLOCK);
      if (ends instanceof Errno) return ends;
      const path = reopen(ends[0], O_PATH);
      close(ends[0]);
      close(ends[1]);
      if (path instanceof Errno) return path;
      this.#pathFd = path;
    }
    return reopen(this.#pathFd, (flags & (O_ACCMODE | O_DIRECT)) | O_NONBLOCK);
  }

  #left(read: boolean, wrote: boolean): void {
    if (read) this.#readers--;
    if (wrote) this.#writers--;
    if (this.#readers + this.#writers > 0 || this.#pathFd === undefined) return;
    close(this.#pathFd);
    this.#pathFd = undefined;
  }
}
