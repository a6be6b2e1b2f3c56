import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import { O_NONBLOCK, pollNow, readBytes, statusFlags, writeBytes } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";

const POLLIN = 0x1;
const POLLOUT = 0x4;
/** Bytes on their way in one direction; more stays where it is until these are written. */
const BUFFER_BYTES = 16 * 1024;
/** What a descriptor that can block takes at once when it is writable: PIPE_BUF. */
const BLOCKING_WRITE_BYTES = 4096;
/** Turns of reading and writing in {@link Pump.drain}: 16 MiB of output nobody has taken yet. */
const DRAIN_TURNS_MAX = 1024;

/** Copies what can be read from one descriptor to another, at the pace of the slower one. */
export class Pump {
  private readonly from: number;
  private readonly to: number;
  private readonly room = Buffer.alloc(BUFFER_BYTES);
  private pending: Uint8Array = new Uint8Array(0);
  private readonly source: Watch;
  private readonly sink: Watch;
  private readonly onEnd: () => void;
  private readonly blocking: boolean;
  private ended = false;

  /** @param onEnd called once, when nothing more can come or go. */
  constructor(reactor: Reactor, from: number, to: number, onEnd: () => void) {
    this.from = from;
    this.to = to;
    this.onEnd = onEnd;
    const flags = statusFlags(to);
    this.blocking = typeof flags === "number" && (flags & O_NONBLOCK) === 0;
    this.source = reactor.watch(from, POLLIN, () => this.read());
    try {
      // Found out now whether it can be waited for, not when there is something to write.
      this.sink = reactor.watch(to, POLLOUT, () => this.write());
      this.sink.setEvents(0);
    } catch (error) {
      this.source.close();
      throw error;
    }
  }

  close(): void {
    this.ended = true;
    this.source.close();
    this.sink.close();
  }

  /** Writes what can still be read at once. */
  drain(): void {
    for (let turn = 0; turn < DRAIN_TURNS_MAX && !this.ended; turn++) {
      if (this.pending.length > 0) this.write();
      else if (this.read() === 0) return;
    }
  }

  /** @returns bytes read. */
  private read(): number {
    const length = readBytes(this.from, this.room);
    if (length === EAGAIN || length === EINTR) return 0;
    // A pty's master answers EIO when the last slave has been closed.
    if (length instanceof Errno || length === 0) {
      this.end();
      return 0;
    }
    this.pending = this.room.subarray(0, length);
    this.write();
    return length;
  }

  private write(): void {
    while (this.pending.length > 0) {
      const length = this.writeSome();
      if (length === EINTR) continue;
      if (length === EAGAIN) break;
      if (length instanceof Errno) {
        this.pending = new Uint8Array(0);
        this.end();
        return;
      }
      this.pending = this.pending.subarray(length);
    }
    if (this.ended) return;
    const waiting = this.pending.length > 0;
    this.sink.setEvents(waiting ? POLLOUT : 0);
    this.source.setEvents(waiting ? 0 : POLLIN);
  }

  /** Never waits, whatever kind of descriptor the user has given us. */
  private writeSome(): number | Errno {
    if (!this.blocking) return writeBytes(this.to, this.pending);
    if (pollNow(this.to, POLLOUT) === 0) return EAGAIN;
    return writeBytes(this.to, this.pending.subarray(0, BLOCKING_WRITE_BYTES));
  }

  private end(): void {
    if (this.ended) return;
    this.close();
    this.onEnd();
  }
}

/**
 * Joins a user's terminal with the master of a container's pty: what is typed goes in, what is printed
 * comes out. The descriptors stay the caller's; the master is non-blocking.
 */
export class TerminalRelay {
  private readonly output: Pump;
  private readonly input: Pump | undefined;

  /**
   * @param user where it is typed (undefined: nowhere) and where it is printed.
   * @param onHangup called once, when the user's terminal has gone away.
   * @throws when one of the descriptors cannot be waited for.
   */
  constructor(
    reactor: Reactor,
    master: number,
    user: { readonly input: number | undefined; readonly output: number },
    onHangup: () => void,
  ) {
    this.output = new Pump(reactor, master, user.output, () => {});
    try {
      this.input =
        user.input === undefined ? undefined : new Pump(reactor, user.input, master, onHangup);
    } catch (error) {
      this.output.close();
      throw error;
    }
  }

  /** Prints what the container has left in the pty, and ends the relay. */
  finish(): void {
    this.output.drain();
    this.close();
  }

  close(): void {
    this.output.close();
    this.input?.close();
  }
}
