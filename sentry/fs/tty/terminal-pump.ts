import { EAGAIN, Errno } from "../../abi/errno.ts";
import { close, read, write } from "../../host/io.ts";
import { HostMemory } from "../../host/memory.ts";
import type { Reactor } from "../../host/reactor.ts";
import { type Piece, SOCK_STREAM, socketPair } from "../../host/socket.ts";
import { HostBuffer } from "../../vfs/host-buffer.ts";
import { HostReadiness } from "../../vfs/host-readiness.ts";
import { POLLIN, POLLOUT, type Pollable, type Unsubscribe } from "../../vfs/poll.ts";
import type { PtyMaster } from "./pty.ts";

/** Bytes moved at once. */
const CHUNK = 16_384;

/** Bytes on their way in one direction. */
interface Lane {
  readonly memory: HostMemory;
  start: number;
  end: number;
}

function lane(): Lane {
  return { memory: new HostMemory(CHUNK), start: 0, end: 0 };
}

function rest(of: Lane): Piece {
  return { address: of.memory.address + of.start, length: of.end - of.start };
}

/**
 * Connects a pseudoterminal's master with a host descriptor, both ways and without waiting: what programs
 * show goes out, what the user types goes in. Ends, closing both, when either side has ended and what
 * came before has been passed on.
 */
export class TerminalPump {
  readonly #reactor: Reactor;
  readonly #master: PtyMaster;
  readonly #fd: number;
  readonly #host: HostReadiness;
  readonly #out = lane();
  readonly #in = lane();
  #subscriptions: Unsubscribe[] = [];
  #ended = false;
  #running = false;

  /** @param fd nonblocking; the pump's from now on, like `master`. */
  constructor(reactor: Reactor, master: PtyMaster, fd: number) {
    this.#reactor = reactor;
    this.#master = master;
    this.#fd = fd;
    this.#host = new HostReadiness(reactor, fd);
    this.#run();
  }

  /**
   * A pump to a fresh descriptor.
   * @returns the caller's end of it, nonblocking, to read, write and close; it reports POLLHUP at the end.
   */
  static open(reactor: Reactor, master: PtyMaster): number | Errno {
    const pair = socketPair(SOCK_STREAM);
    if (pair instanceof Errno) return pair;
    new TerminalPump(reactor, master, pair[1]);
    return pair[0];
  }

  /** Moves all that can be moved, then waits for what it lacks. */
  #run(): void {
    // Moving bytes wakes those who wait for them, this pump among them.
    if (this.#running || this.#ended) return;
    this.#running = true;
    this.#unsubscribe();
    const outOpen = this.#pumpOut();
    const inOpen = this.#pumpIn();
    this.#running = false;
    if (!outOpen || !inOpen) this.#end();
    else this.#wait();
  }

  /** From the programs to the user. @returns false at the end of either. */
  #pumpOut(): boolean {
    const { memory } = this.#out;
    for (;;) {
      if (this.#out.start === this.#out.end) {
        const buffer = new HostBuffer(memory, 0, CHUNK);
        const count = this.#master.read(buffer);
        if (count instanceof Errno) return count === EAGAIN;
        this.#out.start = 0;
        this.#out.end = count;
      }
      const { address, length } = rest(this.#out);
      const sent = write(this.#fd, address, length);
      if (sent instanceof Errno) return sent === EAGAIN;
      this.#out.start += sent;
    }
  }

  /** From the user to the programs. @returns false at the end of either. */
  #pumpIn(): boolean {
    const { memory } = this.#in;
    for (;;) {
      if (this.#in.start === this.#in.end) {
        const count = read(this.#fd, memory.address, CHUNK);
        if (count instanceof Errno) return count === EAGAIN;
        if (count === 0) return false;
        this.#in.start = 0;
        this.#in.end = count;
      }
      const length = this.#in.end - this.#in.start;
      const taken = this.#master.write(new HostBuffer(memory, this.#in.start, length));
      if (taken instanceof Errno) return taken === EAGAIN;
      this.#in.start += taken;
    }
  }

  #wait(): void {
    const outFull = this.#out.start < this.#out.end;
    const inFull = this.#in.start < this.#in.end;
    this.#watch(this.#host, (outFull ? POLLOUT : 0) | (inFull ? 0 : POLLIN));
    this.#watch(this.#master, (outFull ? 0 : POLLIN) | (inFull ? POLLOUT : 0));
  }

  #watch(source: Pollable, events: number): void {
    this.#subscriptions.push(source.subscribe(events, () => this.#run()));
    // It may have become ready in between.
    if (source.poll() & events) this.#reactor.post(() => this.#run());
  }

  #unsubscribe(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#subscriptions = [];
  }

  #end(): void {
    this.#ended = true;
    this.#unsubscribe();
    this.#host.close();
    close(this.#fd);
    this.#master.close();
  }
}
