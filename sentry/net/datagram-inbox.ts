import { ECONNREFUSED, Errno } from "../abi/errno.ts";
import { MSG_TRUNC, SOCK_DGRAM } from "../abi/socket.ts";
import { available, close } from "../host/io.ts";
import { HostMemory } from "../host/memory.ts";
import type { Reactor } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import { HostReadiness } from "../vfs/host-readiness.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";

/** In front of every datagram: the length of the sender's address, and the address. */
const HEADER_SIZE = 112;
const header = new HostMemory(HEADER_SIZE);

/** A datagram as it was taken out. */
export interface Datagram {
  readonly count: number;
  readonly flags: number;
  /** The sender's address as the receiver's family writes it; empty for an unnamed sender. */
  readonly source: Uint8Array;
  readonly token: number | undefined;
}

/**
 * Where the datagrams for one socket arrive: a pair of host sockets, of which everyone who sends holds one
 * end. The host keeps order and boundaries and limits what is queued.
 */
export class DatagramInbox {
  /** The receiving end. */
  readonly fd: number;
  readonly #entrance: number;
  /** Ready (POLLOUT) while there is room. */
  readonly room: HostReadiness;
  #open = true;

  private constructor(reactor: Reactor, pair: readonly [number, number]) {
    this.fd = pair[0];
    this.#entrance = pair[1];
    this.room = new HostReadiness(reactor, pair[1]);
  }

  static create(reactor: Reactor): DatagramInbox | Errno {
    const pair = host.socketPair(SOCK_DGRAM);
    return pair instanceof Errno ? pair : new DatagramInbox(reactor, pair);
  }

  /** @returns `EAGAIN` without room, `ECONNREFUSED` when the receiver is gone, `EMSGSIZE`. */
  deliver(source: Uint8Array, buffer: IoBuffer, token?: number): number | Errno {
    if (!this.#open) return ECONNREFUSED;
    header.bytes.fill(0);
    header.view.setUint16(0, source.length, true);
    header.bytes.set(source.subarray(0, HEADER_SIZE - 2), 2);
    const sent = host.send(this.#entrance, [header, buffer].map(piece), 0, { token });
    return sent instanceof Errno ? sent : sent - HEADER_SIZE;
  }

  receive(buffer: IoBuffer, flags: number, withToken: boolean): Datagram | Errno {
    const received = host.receive(this.fd, [header, buffer].map(piece), flags, withToken);
    if (received instanceof Errno) return received;
    const length = header.view.getUint16(0, true);
    const count = Math.max(received.count - HEADER_SIZE, 0);
    return {
      // A receiver that was shut down gets an end of file, which has no header.
      count,
      flags: received.flags & MSG_TRUNC,
      source: received.count < HEADER_SIZE ? new Uint8Array(0) : header.bytes.slice(2, 2 + length),
      token: received.token,
    };
  }

  /** The length of the next datagram, 0 when there is none. */
  next(): number | Errno {
    const count = available(this.fd);
    return count instanceof Errno ? count : Math.max(count - HEADER_SIZE, 0);
  }

  shutdown(how: number): Errno | undefined {
    return host.shutdown(this.fd, how);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.room.close();
    close(this.fd);
    close(this.#entrance);
  }
}

function piece(part: HostMemory | IoBuffer): host.Piece {
  const length = part instanceof HostMemory ? part.bytes.length : part.length;
  return { address: part.address, length };
}
