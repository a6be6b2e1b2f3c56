import {
  EAGAIN,
  ECONNREFUSED,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EOPNOTSUPP,
  Errno,
} from "../abi/errno.ts";
import {
  SHUT_RD,
  SHUT_RDWR,
  SO_OOBINLINE,
  SO_PASSCRED,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
  SOMAXCONN,
} from "../abi/socket.ts";
import { close } from "../host/io.ts";
import * as host from "../host/socket.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { Lease } from "../vfs/open-file.ts";
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  type Pollable,
  WaitQueue,
} from "../vfs/poll.ts";
import type { RightsInFlight } from "./rights.ts";
import {
  type Ancillary,
  credentialsOf,
  type IncomingMessage,
  type OutgoingMessage,
  type PeerCredentials,
  Socket,
} from "./socket.ts";

const READABLE = POLLIN | POLLRDNORM;
/** What is to be true of the host sockets of a connection. */
const HOST_OPTIONS: readonly number[] = [SO_SNDBUF, SO_RCVBUF, SO_OOBINLINE];
const TERMINATED = POLLIN | POLLOUT | POLLHUP | POLLRDHUP;

/** Connections waiting to be accepted. */
interface AcceptQueue {
  backlog: number;
  readonly waiting: StreamSocket[];
  /** Woken (POLLOUT) when one has been accepted. */
  readonly room: WaitQueue;
}

/**
 * A socket of connections. A connection within the container is a pair of connected host sockets, one end
 * for each side: the accepting side's socket exists from the moment of connecting and waits in a queue.
 */
export abstract class StreamSocket extends Socket {
  /** Undefined for protocols that carry no files. */
  protected readonly rights: RightsInFlight | undefined = undefined;
  /** The other end of a connection within the container. */
  protected peer: StreamSocket | undefined;
  #queue: AcceptQueue | undefined;
  #credentials: PeerCredentials | undefined;
  #peerCredentials: PeerCredentials | undefined;

  /** What sending and receiving answer without a connection. */
  protected abstract readonly notConnected: { readonly send: Errno; readonly receive: Errno };

  /** A socket for the accepting side of a connection to this listener. */
  protected abstract newAccepted(connector: StreamSocket): StreamSocket;

  get connected(): boolean {
    return this.readiness.fd !== undefined;
  }

  override get listening(): boolean {
    return this.#queue !== undefined;
  }

  override listen(backlog: number, caller: Actor): Errno | undefined {
    if (this.connected) return EINVAL;
    const limit = backlog < 0 || backlog > SOMAXCONN ? SOMAXCONN : backlog;
    if (this.#queue !== undefined) {
      this.#queue.backlog = limit;
      return undefined;
    }
    this.#queue = { backlog: limit, waiting: [], room: new WaitQueue() };
    this.#credentials = credentialsOf(caller);
    this.readiness.setIdle(0, 0);
    return undefined;
  }

  override accept(): Socket | Errno {
    const queue = this.#queue;
    if (queue === undefined) return EINVAL;
    const accepted = queue.waiting.shift();
    if (accepted === undefined) return EAGAIN;
    if (queue.waiting.length === 0) this.readiness.setIdle(0, 0);
    queue.room.wake(POLLOUT);
    return accepted;
  }

  /** Where those wait who found the queue full. */
  get room(): Pollable {
    const queue = this.#queue;
    return {
      poll: () => (queue === undefined || !this.isFull ? POLLOUT : 0),
      subscribe: (events, waiter) => queue?.room.subscribe(events, waiter) ?? (() => {}),
    };
  }

  /** Whether connections have to wait until one has been accepted. */
  protected get isFull(): boolean {
    const queue = this.#queue;
    return queue !== undefined && queue.waiting.length > queue.backlog;
  }

  /**
   * Connects to a listener of the same container.
   * @returns `ECONNREFUSED` when it does not listen, `EAGAIN` when its queue is full.
   */
  protected connectTo(listener: StreamSocket, caller: Actor): Errno | undefined {
    if (this.connected) return EISCONN;
    if (this.#queue !== undefined) return EINVAL;
    const queue = listener.#queue;
    if (queue === undefined) return ECONNREFUSED;
    if (listener.isFull) return EAGAIN;
    const pair = host.socketPair(this.type);
    if (pair instanceof Errno) return pair;
    const accepted = listener.newAccepted(this);
    accepted.#peerCredentials = credentialsOf(caller);
    this.#peerCredentials = listener.#credentials;
    this.pairWith(accepted, pair);
    listener.enqueue(accepted);
    return undefined;
  }

  /** Hands the listener a connection. */
  protected enqueue(accepted: StreamSocket): void {
    this.#queue?.waiting.push(accepted);
    this.readiness.setIdle(READABLE, READABLE);
  }

  /** Makes this socket and `other` the two ends of a pair of host descriptors. */
  protected pairWith(other: StreamSocket, pair: readonly [number, number]): void {
    this.peer = other;
    other.peer = this;
    this.adopt(pair[0]);
    other.adopt(pair[1]);
  }

  /** The two ends of socketpair(2). */
  joinWith(other: StreamSocket, credentials: PeerCredentials): Errno | undefined {
    const pair = host.socketPair(this.type);
    if (pair instanceof Errno) return pair;
    this.#peerCredentials = credentials;
    other.#peerCredentials = credentials;
    this.pairWith(other, pair);
    return undefined;
  }

  /** The connection's bytes are those of `fd` from now on. */
  protected adopt(fd: number): void {
    for (const name of HOST_OPTIONS) {
      for (const option of this.options.all()) {
        if (option.level === SOL_SOCKET && option.name === name) {
          host.setOption(fd, SOL_SOCKET, name, option.value);
        }
      }
    }
    this.readiness.attach(fd);
  }

  override optionChanged(level: number, name: number, value: Uint8Array): Errno | undefined {
    const { fd } = this.readiness;
    const isHosts = level === SOL_SOCKET && HOST_OPTIONS.includes(name);
    return fd === undefined || !isHosts ? undefined : host.setOption(fd, level, name, value);
  }

  override peerCredentials(): PeerCredentials | Errno {
    return this.#peerCredentials ?? this.#credentials ?? { pid: 0, uid: -1, gid: -1 };
  }

  override send(message: OutgoingMessage, caller?: Actor): Transfer {
    const { fd } = this.readiness;
    if (fd === undefined) return this.notConnected.send;
    const { buffer, flags } = message;
    const ancillary = this.#toCarry(message, caller);
    if (ancillary === undefined) return host.send(fd, [buffer], flags);
    return (
      this.rights?.pack(ancillary, (token) => host.send(fd, [buffer], flags, { token })) ??
      EOPNOTSUPP
    );
  }

  /** What has to travel with a message: files, and credentials if either side wants them. */
  #toCarry(message: OutgoingMessage, caller: Actor | undefined): Ancillary | undefined {
    const { ancillary } = message;
    if (this.rights === undefined) return undefined;
    const credentials =
      ancillary?.credentials ??
      (this.#tellsCredentials ? caller && credentialsOf(caller) : undefined);
    const files = ancillary?.files ?? [];
    return files.length === 0 && credentials === undefined ? undefined : { files, credentials };
  }

  /** Whether every message carries its sender's credentials. */
  get #tellsCredentials(): boolean {
    if (this.rights === undefined) return false;
    return [this, this.peer].some((end) => end?.options.int(SOL_SOCKET, SO_PASSCRED) === 1);
  }

  override receive(
    buffer: IoBuffer,
    flags: number,
    withAncillary: boolean,
  ): IncomingMessage | Errno {
    const { fd } = this.readiness;
    if (fd === undefined) return this.notConnected.receive;
    const carries = withAncillary && this.rights !== undefined;
    const received = host.receive(fd, [buffer], flags, carries);
    if (received instanceof Errno) return received;
    const { token } = received;
    return {
      count: received.count,
      flags: received.flags,
      ancillary: token === undefined ? undefined : this.rights?.unpack(token, flags),
    };
  }

  override shutdown(how: number): Errno | undefined {
    if (how < SHUT_RD || how > SHUT_RDWR) return EINVAL;
    const { fd } = this.readiness;
    return fd === undefined ? ENOTCONN : host.shutdown(fd, how);
  }

  override takeError(): number {
    const { fd } = this.readiness;
    return fd === undefined ? 0 : host.takeError(fd);
  }

  protected override get isDirect(): boolean {
    return true;
  }

  override lease(): Lease | undefined {
    return this.#tellsCredentials ? undefined : this.leaseConnection();
  }

  /**
   * The other end is about to be closed, and this one is to see ECONNRESET. The host resets a connection
   * that is closed with bytes unread.
   */
  protected expectReset(): void {
    const { fd } = this.readiness;
    if (fd !== undefined) host.send(fd, [HostBuffer.of(Uint8Array.of(0))], 0);
  }

  protected override release(): void {
    const { fd } = this.readiness;
    this.readiness.close();
    if (fd !== undefined) close(fd);
    const queue = this.#queue;
    if (queue === undefined) return;
    this.#queue = undefined;
    for (const accepted of queue.waiting) {
      if (accepted.peer !== undefined) accepted.peer.expectReset();
      accepted.close();
    }
    queue.room.wake(POLLOUT | POLLERR);
  }

  /** What is ready of a connection that was refused. */
  protected failConnecting(): void {
    this.readiness.setIdle(TERMINATED | POLLERR, TERMINATED | POLLERR);
  }
}
