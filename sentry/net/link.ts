/** One connection between the sentries of two containers: messages about streams, and datagrams. */
import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import { type Endpoint, ipOfBytes } from "../abi/ip.ts";
import { close } from "../host/io.ts";
import { HostMemory } from "../host/memory.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";

const POLLIN = 0x1;
const POLLOUT = 0x4;

/** What a message is about. */
export const LINK = {
  /** A stream from `from` to `to`, whose far end comes along. */
  connect: 1,
  /** What became of the `connect` with this cookie: `status` is an errno, 0: accepted. */
  answer: 2,
  datagram: 3,
  /** Nobody receives at `to` what `from` has sent. */
  unreachable: 4,
  /** Between sentries that share a network: `to` is bound; `status` is the protocol, the cookie its number. */
  bind: 5,
  /** The binding with this cookie is no more. */
  release: 6,
  /** What a member of a shared network has to know, as JSON. */
  state: 7,
} as const;

/** Kind, status, two bytes free, cookie, address and port of both sides. */
const HEADER_SIZE = 44;
/** The longest datagram of UDP. */
const PAYLOAD_MAX = 65_507;
/** Messages taken before others get their turn. */
const MESSAGES_PER_TURN = 64;
/** Messages that wait for room; a peer that lets more pile up is given up. */
const QUEUE_MAX = 1024;

const header = new HostMemory(HEADER_SIZE);
let room: HostBuffer | undefined;

/** A message's fixed part. */
export interface LinkHeader {
  readonly kind: number;
  readonly status: number;
  readonly cookie: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

/** A message as it arrived. */
export interface LinkMessage extends LinkHeader {
  /** Valid until the handler returns. */
  readonly payload: IoBuffer;
  /** A descriptor that came along: the handler's. */
  readonly token: number | undefined;
}

function encode({ kind, status, cookie, from, to }: LinkHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt8(status, 1);
  bytes.writeUInt32LE(cookie, 4);
  bytes.write(from.ip, 8, "latin1");
  bytes.writeUInt16LE(from.port, 24);
  bytes.writeUInt16LE(to.port, 26);
  bytes.write(to.ip, 28, "latin1");
  return bytes;
}

function decode(bytes: Buffer): LinkHeader {
  return {
    kind: bytes.readUInt8(0),
    status: bytes.readUInt8(1),
    cookie: bytes.readUInt32LE(4),
    from: { ip: ipOfBytes(bytes.subarray(8, 24)), port: bytes.readUInt16LE(24) },
    to: { ip: ipOfBytes(bytes.subarray(28, 44)), port: bytes.readUInt16LE(26) },
  };
}

/** Who hears what happens on a link. */
export interface LinkOwner {
  message(link: Link, message: LinkMessage): void;
  /** The other side is gone, or broke the rules. */
  closed(link: Link): void;
}

/** A connected AF_UNIX SOCK_SEQPACKET socket, which it owns. */
export class Link {
  readonly #fd: number;
  readonly #owner: LinkOwner;
  readonly #watch: Watch;
  readonly #queue: { readonly bytes: Buffer; readonly token: number | undefined }[] = [];
  #open = true;

  constructor(reactor: Reactor, fd: number, owner: LinkOwner) {
    this.#fd = fd;
    this.#owner = owner;
    this.#watch = reactor.watch(fd, POLLIN, (events) => this.#ready(events));
  }

  get fd(): number {
    return this.#fd;
  }

  /** Sends a message as soon as there is room. @param token stays the caller's, open until the answer. */
  post(message: LinkHeader, token?: number, payload: Uint8Array = new Uint8Array(0)): void {
    if (!this.#open) return;
    this.#queue.push({ bytes: Buffer.concat([encode(message), payload]), token });
    if (this.#queue.length > QUEUE_MAX) this.#fail();
    else this.#flush();
  }

  /** Sends a datagram if there is room, else it is lost, as on a network. */
  sendDatagram(from: Endpoint, to: Endpoint, payload: IoBuffer): void {
    if (!this.#open) return;
    header.bytes.set(encode({ kind: LINK.datagram, status: 0, cookie: 0, from, to }));
    const pieces = [{ address: header.address, length: HEADER_SIZE }, payload];
    host.send(this.#fd, pieces, 0);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch.close();
    close(this.#fd);
  }

  #fail(): void {
    if (!this.#open) return;
    this.close();
    this.#owner.closed(this);
  }

  /** Takes what has arrived, for who cannot wait for the loop. */
  receiveNow(): void {
    this.#ready(POLLIN);
  }

  #ready(events: number): void {
    if ((events & POLLOUT) !== 0) this.#flush();
    if (!this.#open || (events & ~POLLOUT) === 0) return;
    room ??= HostBuffer.allocate(HEADER_SIZE + PAYLOAD_MAX);
    for (let i = 0; i < MESSAGES_PER_TURN && this.#open; i++) {
      const received = host.receive(this.#fd, [room], 0, true);
      if (received === EAGAIN || received === EINTR) return;
      if (received instanceof Errno || received.count < HEADER_SIZE) {
        // The end, an error, or not a message of ours.
        if (!(received instanceof Errno) && received.token !== undefined) close(received.token);
        this.#fail();
        return;
      }
      const { count, token } = received;
      const payload = room.from(HEADER_SIZE).upTo(count - HEADER_SIZE);
      const message = decode(Buffer.from(room.take(HEADER_SIZE)));
      this.#owner.message(this, { ...message, payload, token });
    }
  }

  #flush(): void {
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined) break;
      const bytes = HostBuffer.of(next.bytes);
      const sent = host.send(this.#fd, [bytes], 0, { token: next.token });
      if (sent === EAGAIN) break;
      if (sent instanceof Errno) {
        this.#fail();
        return;
      }
      this.#queue.shift();
    }
    this.#watch.setEvents(this.#queue.length === 0 ? POLLIN : POLLIN | POLLOUT);
  }
}
