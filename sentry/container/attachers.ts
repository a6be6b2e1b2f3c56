import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import { close, O_NONBLOCK, pollAll, setStatusFlags, writeBytes } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";

const POLLOUT = 0x4;
const POLLERR_HUP = 0x18;
/** What a client has not taken yet; with more, the container waits for it, as with docker. */
const UNTAKEN_BYTES_MAX = 1 << 20;
const FAREWELL_PAUSE_MS = 20;

interface Client {
  readonly fd: number;
  readonly watch: Watch;
  untaken: Buffer[];
  untakenBytes: number;
}

/** Everybody who watches one stream of a container. */
export class Attachers {
  private readonly reactor: Reactor;
  private readonly clients = new Set<Client>();
  private readonly onRoom: () => void;

  /** @param onRoom called when no client is too far behind any more. */
  constructor(reactor: Reactor, onRoom: () => void) {
    this.reactor = reactor;
    this.onRoom = onRoom;
  }

  /** @param fd the write end of a pipe, owned from now on. */
  add(fd: number): void {
    setStatusFlags(fd, O_NONBLOCK);
    const client: Client = {
      fd,
      // Always watched: that is how a reader that has gone is noticed.
      watch: this.reactor.watch(fd, 0, (events) => this.ready(client, events)),
      untaken: [],
      untakenBytes: 0,
    };
    this.clients.add(client);
  }

  /** Gives everybody what was printed. @returns whether somebody is too far behind for more. */
  write(bytes: Uint8Array): boolean {
    for (const client of this.clients) {
      client.untaken.push(Buffer.from(bytes));
      client.untakenBytes += bytes.length;
      this.flush(client);
    }
    return this.isBehind();
  }

  isBehind(): boolean {
    for (const { untakenBytes } of this.clients) {
      if (untakenBytes > UNTAKEN_BYTES_MAX) return true;
    }
    return false;
  }

  /** From now on nothing is written but in {@link end}; the reactor is not needed any more. */
  stopWatching(): void {
    for (const { watch } of this.clients) watch.close();
  }

  /** Ends everybody's stream after what was printed last, waiting so long for those who are behind. */
  end(patienceMs: number): void {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      for (const client of this.clients) {
        if (client.untakenBytes === 0) this.remove(client);
      }
      const waiting = [...this.clients];
      if (waiting.length === 0 || performance.now() >= deadline) return;
      const ready = pollAll(waiting.map(({ fd }) => ({ fd, events: POLLOUT })));
      if (ready.every((events) => events === 0)) pause(FAREWELL_PAUSE_MS);
      for (const [i, client] of waiting.entries()) this.ready(client, ready[i] ?? 0);
    }
  }

  private ready(client: Client, events: number): void {
    if ((events & POLLOUT) !== 0) this.flush(client);
    if ((events & POLLERR_HUP) !== 0) this.remove(client);
  }

  private flush(client: Client): void {
    const behind = client.untakenBytes > UNTAKEN_BYTES_MAX;
    for (let next = client.untaken[0]; next !== undefined; next = client.untaken[0]) {
      const length = writeBytes(client.fd, next);
      if (length === EINTR) continue;
      if (length === EAGAIN) break;
      if (length instanceof Errno) {
        this.remove(client);
        return;
      }
      client.untakenBytes -= length;
      if (length < next.length) client.untaken[0] = next.subarray(length);
      else client.untaken.shift();
    }
    client.watch.setEvents(client.untakenBytes > 0 ? POLLOUT : 0);
    if (behind && !this.isBehind()) this.onRoom();
  }

  private remove(client: Client): void {
    if (!this.clients.delete(client)) return;
    client.watch.close();
    close(client.fd);
    client.untaken = [];
    if (client.untakenBytes > UNTAKEN_BYTES_MAX && !this.isBehind()) this.onRoom();
  }
}

/** Nothing else is left to be done by this process then. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
