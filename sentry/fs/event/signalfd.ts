import { EAGAIN, EINVAL } from "../../abi/errno.ts";
import { O_RDWR } from "../../abi/file.ts";
import { UNBLOCKABLE } from "../../abi/signal.ts";
import { big64, bytes, i32, struct, u16, u32, u64 } from "../../abi/struct.ts";
import { ANON_INODEFS, anonymousIno, anonymousStat } from "../../vfs/anonymous.ts";
import type { Stat } from "../../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../../vfs/io-buffer.ts";
import { OpenFile } from "../../vfs/open-file.ts";
import { POLLIN, POLLRDNORM, type Unsubscribe, type Waiter } from "../../vfs/poll.ts";

/** `struct signalfd_siginfo`, `<linux/signalfd.h>`. */
export const SignalfdSiginfo = struct({
  signo: u32,
  errno: i32,
  code: i32,
  pid: u32,
  uid: u32,
  fd: i32,
  tid: u32,
  band: u32,
  overrun: u32,
  trapno: u32,
  status: i32,
  int: i32,
  ptr: big64,
  utime: u64,
  stime: u64,
  addr: u64,
  addrLsb: u16,
  pad: bytes(46),
});

/** The pending signals of one task, its process's included. */
export interface SignalQueue {
  /** Which signals are pending: bit `signo - 1`. */
  pending(): bigint;
  /** Takes one of `wanted`, encoded as {@link SignalfdSiginfo}. */
  take(wanted: bigint): Uint8Array | undefined;
  subscribe(waiter: Waiter): Unsubscribe;
}

const ROOT = { uid: 0, gid: 0 };

/** Signals as something to read. See signalfd(2). */
export class SignalFile extends OpenFile {
  readonly name = "anon_inode:[signalfd]";
  readonly #stat = anonymousStat(ANON_INODEFS, anonymousIno(), 0o600, ROOT);
  readonly #queueOf: (caller: unknown) => SignalQueue;
  /** Whose signals count for readiness: the creator's, then those of whoever read last. */
  #queue: SignalQueue;
  #mask = 0n;

  constructor(
    flags: number,
    mask: bigint,
    queueOf: (caller: unknown) => SignalQueue,
    creator: unknown,
  ) {
    super(O_RDWR | flags);
    this.#queueOf = queueOf;
    this.#queue = queueOf(creator);
    this.mask = mask;
  }

  /** The signals it accepts; SIGKILL and SIGSTOP are silently left out. */
  set mask(mask: bigint) {
    this.#mask = mask & ~UNBLOCKABLE;
  }

  get mask(): bigint {
    return this.#mask;
  }

  stat(): Stat {
    return this.#stat;
  }

  override read(buffer: IoBuffer, caller?: unknown): Transfer {
    const room = Math.floor(buffer.length / SignalfdSiginfo.size);
    if (room === 0) return EINVAL;
    if (caller !== undefined) this.#queue = this.#queueOf(caller);
    let count = 0;
    while (count < room) {
      const signal = this.#queue.take(this.#mask);
      if (signal === undefined) break;
      buffer.put(signal, count * SignalfdSiginfo.size);
      count++;
    }
    return count === 0 ? EAGAIN : count * SignalfdSiginfo.size;
  }

  override poll(): number {
    return (this.#queue.pending() & this.#mask) === 0n ? 0 : POLLIN | POLLRDNORM;
  }

  override subscribe(_events: number, waiter: Waiter): Unsubscribe {
    return this.#queue.subscribe(waiter);
  }

  protected override release(): void {}
}
