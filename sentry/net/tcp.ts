import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EALREADY,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENETUNREACH,
  ENOTCONN,
  EPIPE,
  Errno,
} from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/file.ts";
import { ANY4, ANY6, type Endpoint } from "../abi/ip.ts";
import {
  AF_UNSPEC,
  IPPROTO_TCP,
  MSG_PEEK,
  SHUT_RD,
  SHUT_RDWR,
  SO_LINGER,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { i32, struct } from "../abi/struct.ts";
import { close } from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { Owner } from "../vfs/anonymous.ts";
import type { Actor } from "../vfs/fs-context.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { Lease } from "../vfs/open-file.ts";
import { POLLHUP, POLLOUT, POLLWRNORM, type Pollable, type Unsubscribe } from "../vfs/poll.ts";
import { familyOf, formatEndpoint, parseEndpoint } from "./address.ts";
import { anyAddress, BoundPort, hostFamily } from "./inet.ts";
import type { NetworkNamespace } from "./namespace.ts";
import type { Carrier, Severable } from "./peer-network.ts";
import type { IncomingMessage, OutgoingMessage } from "./socket.ts";
import { StreamSocket } from "./stream.ts";

/** `struct linger`, `<linux/socket.h>`. */
const Linger = struct({ onoff: i32, seconds: i32 });

const TCP_INFO = 11;
const INFO_SIZE = 104;
const ESTABLISHED = 1;
const SYN_SENT = 2;
const CLOSE = 7;
const LISTEN = 10;

/**
 * A TCP socket of a container with a network of its own. Connections within the container, and to others
 * in its networks, are pairs of host sockets that no one else can reach; connections to the outside are host
 * TCP sockets.
 */
export class TcpSocket extends StreamSocket implements Severable {
  readonly family: number;
  protected readonly notConnected = { send: EPIPE, receive: ENOTCONN };
  readonly #net: NetworkNamespace;
  readonly #owner: Owner;
  readonly #port: BoundPort<TcpSocket>;
  #local: Endpoint | undefined;
  #remote: Endpoint | undefined;
  /** Where the host TCP socket goes that the connection is made through. */
  #hostTarget: Endpoint | undefined;
  /** The outcome of a nonblocking connect that nobody has asked for yet. */
  #pending: "connected" | Errno | undefined;
  /** Gives up the connecting that is under way. */
  #cancel: (() => void) | undefined;
  #target: TcpSocket | undefined;
  /** It has heard, or is about to, that the other end wants no more. */
  #isReset = false;
  #sendingEnded = false;
  /** Whose network carries the connection. */
  #network: Carrier | undefined;

  constructor(
    reactor: Reactor,
    net: NetworkNamespace,
    family: number,
    flags: number,
    owner: Owner,
  ) {
    super(reactor, SOCK_STREAM, IPPROTO_TCP, flags, owner, POLLOUT | POLLWRNORM | POLLHUP);
    this.#net = net;
    this.family = family;
    this.#owner = owner;
    this.#port = new BoundPort(net.tcp);
  }

  override bind(address: Uint8Array, _caller: Actor): Errno | undefined {
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    if (this.#port.held !== undefined || this.connected) return EINVAL;
    if (!this.#net.isLocal(endpoint.ip)) return EADDRNOTAVAIL;
    return this.#bindTo(endpoint);
  }

  #bindTo(endpoint: Endpoint): Errno | undefined {
    const error = this.#port.take(endpoint, this, this.options, () => this.listening);
    this.#local = this.#port.held;
    return error;
  }

  override listen(backlog: number, caller: Actor): Errno | undefined {
    if (this.#port.held === undefined) {
      const error = this.#bindTo({ ip: anyAddress(this.family), port: 0 });
      if (error !== undefined) return error;
    }
    if (!this.#port.mayReceive()) return EADDRINUSE;
    return super.listen(backlog, caller);
  }

  override connect(address: Uint8Array, caller: Actor): Errno | undefined {
    if (familyOf(address) === AF_UNSPEC) return this.connected ? EINVAL : undefined;
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) return pending === "connected" ? undefined : pending;
    if (this.#cancel !== undefined) return EALREADY;
    if (this.#hostTarget !== undefined) return this.#connectHost();
    if (this.connected) return EISCONN;
    const remote = this.#net.concrete(endpoint);
    const route = this.#net.route(remote, "tcp");
    if (route instanceof Errno) return route;
    switch (route.kind) {
      case "local":
        return this.#connectWithin(remote, caller);
      case "network":
        return this.#connectPeer(route.network, remote);
      case "outside":
        return this.#connectOut(remote, route.target);
    }
  }

  #connectWithin(remote: Endpoint, caller: Actor): Errno | undefined {
    const error = this.#connectLocal(remote, caller);
    if ((this.flags & O_NONBLOCK) === 0) return error;
    if (error === EAGAIN) this.#connectLater(remote, caller);
    else if (error === undefined) this.#pending = "connected";
    else if (error === ECONNREFUSED) this.#failed(ECONNREFUSED);
    else return error;
    return EINPROGRESS;
  }

  /** @returns `ECONNREFUSED`, `EAGAIN`. */
  #connectLocal(remote: Endpoint, caller: Actor): Errno | undefined {
    const serve = this.#net.serviceAt(remote, "tcp");
    const listener = this.#net.tcp.find(remote);
    if (listener === undefined && serve === undefined) return ECONNREFUSED;
    this.#target = listener;
    const error = this.#takeLocal(remote.ip);
    if (error !== undefined) return error;
    this.#remote = remote;
    if (serve !== undefined) return this.#connectService(serve);
    return listener === undefined ? ECONNREFUSED : this.connectTo(listener, caller);
  }

  /** Connects to the sentry itself. */
  #connectService(serve: (fd: number) => void): Errno | undefined {
    const pair = host.socketPair(SOCK_STREAM);
    if (pair instanceof Errno) return pair;
    this.adopt(pair[0]);
    serve(pair[1]);
    return undefined;
  }

  /** The address this side of a connection has, given the container's own `ip` it leaves by. */
  #takeLocal(ip: string): Errno | undefined {
    const held = this.#port.held;
    if (held === undefined && this.#bindTo({ ip, port: 0 }) !== undefined) return EADDRNOTAVAIL;
    const bound = this.#port.held;
    const chosen = bound !== undefined && bound.ip !== ANY4 && bound.ip !== ANY6;
    this.#local = { ip: chosen ? bound.ip : ip, port: bound?.port ?? 0 };
    return undefined;
  }

  #failed(error: Errno): void {
    this.#pending = error;
    this.failConnecting();
  }

  /** The listener's queue is full: goes on when it has room. */
  #connectLater(remote: Endpoint, caller: Actor): void {
    this.readiness.setIdle(0, 0);
    const unsubscribe: Unsubscribe = this.waitToConnect().subscribe(POLLOUT, () => {
      const error = this.#connectLocal(remote, caller);
      if (error === EAGAIN) return;
      this.#cancel?.();
      this.#cancel = undefined;
      if (error === undefined) this.#pending = "connected";
      else this.#failed(error);
    });
    this.#cancel = unsubscribe;
  }

  override waitToConnect(): Pollable {
    return this.#target?.room ?? this;
  }

  /** Connects to another container: its sentry decides. */
  #connectPeer(network: Carrier, remote: Endpoint): Errno | undefined {
    const own = network.addressFor(remote.ip);
    if (own === undefined) return ENETUNREACH;
    const error = this.#takeLocal(own);
    if (error !== undefined) return error;
    const pair = host.socketPair(SOCK_STREAM);
    if (pair instanceof Errno) return pair;
    const [near, far] = pair;
    this.#remote = remote;
    this.readiness.setIdle(0, 0);
    const cancel = network.connect(this.#local ?? remote, remote, far, (failure) => {
      this.#cancel = undefined;
      if (failure !== undefined) {
        close(near);
        this.#failed(failure);
        return;
      }
      this.#pending = "connected";
      this.#carriedBy(network);
      this.adopt(near);
    });
    this.#cancel = () => {
      cancel();
      close(near);
    };
    return EINPROGRESS;
  }

  #connectOut(remote: Endpoint, target: Endpoint): Errno | undefined {
    const family = hostFamily(target.ip);
    const fd = host.socket(family, SOCK_STREAM, IPPROTO_TCP);
    if (fd instanceof Errno) return fd;
    for (const { level, name, value } of this.options.all()) {
      host.setOption(fd, level, name, value);
    }
    this.#hostTarget = target;
    this.#remote = remote;
    const error = host.connect(fd, formatEndpoint(family, target));
    this.#net.traffic.opened(fd);
    this.adopt(fd);
    return error;
  }

  /** Connecting to the outside once more: the host knows how it stands. */
  #connectHost(): Errno | undefined {
    const { fd } = this.readiness;
    const to = this.#hostTarget;
    if (fd === undefined || to === undefined) return ENOTCONN;
    return host.connect(fd, formatEndpoint(hostFamily(to.ip), to));
  }

  protected override newAccepted(connector: StreamSocket): StreamSocket {
    const accepted = this.#sibling();
    if (connector instanceof TcpSocket) {
      accepted.#local = connector.#remote;
      accepted.#remote = connector.#local;
    }
    return accepted;
  }

  /** A socket with this one's options, as accept(2) gives it. */
  #sibling(): TcpSocket {
    const sibling = new TcpSocket(this.reactor, this.#net, this.family, 0, this.#owner);
    for (const { level, name, value } of this.options.all()) {
      sibling.options.set(level, name, value);
    }
    return sibling;
  }

  /**
   * Hands this listener a connection that somebody made from outside the container: another container, or
   * a client of a published port.
   * @param fd the connected host socket, taken over on success.
   * @param network what carries it, if it ends with the container's leaving that network.
   * @returns `ECONNREFUSED`, `EAGAIN` when the queue is full.
   */
  offer(fd: number, local: Endpoint, remote: Endpoint, network?: Carrier): Errno | undefined {
    if (!this.listening) return ECONNREFUSED;
    if (this.isFull) return EAGAIN;
    const accepted = this.#sibling();
    accepted.#local = local;
    accepted.#remote = remote;
    if (network !== undefined) accepted.#carriedBy(network);
    else this.#net.traffic.opened(fd);
    accepted.adopt(fd);
    this.enqueue(accepted);
    return undefined;
  }

  #carriedBy(network: Carrier): void {
    this.#network = network;
    network.streams.add(this);
  }

  override send(message: OutgoingMessage, caller?: Actor): Transfer {
    const sent = super.send(message, caller);
    if (sent === EPIPE && this.#sendsIntoVoid()) return message.buffer.length;
    if (this.#network !== undefined && typeof sent === "number") this.#net.traffic.sent(sent);
    return sent;
  }

  /**
   * The other end is gone. In TCP the first bytes after that are still sent, and answered by a reset: only
   * what follows fails.
   */
  #sendsIntoVoid(): boolean {
    const within = this.connected && this.#hostTarget === undefined;
    if (!within || this.#isReset || this.#sendingEnded) return false;
    this.#isReset = true;
    return true;
  }

  override shutdown(how: number): Errno | undefined {
    const error = super.shutdown(how);
    if (error === undefined && how !== SHUT_RD) this.#sendingEnded = true;
    return error;
  }

  override receive(
    buffer: IoBuffer,
    flags: number,
    withAncillary: boolean,
  ): IncomingMessage | Errno {
    const received = super.receive(buffer, flags, withAncillary);
    if (received === ECONNRESET) this.#isReset = true;
    const counts = this.#network !== undefined && !(received instanceof Errno);
    if (counts && (flags & MSG_PEEK) === 0) this.#net.traffic.received(received.count);
    return received;
  }

  /** The network that carries the connection is gone. */
  sever(): void {
    const { fd } = this.readiness;
    if (fd !== undefined) host.shutdown(fd, SHUT_RDWR);
  }

  localAddress(): Uint8Array | Errno {
    return formatEndpoint(this.family, this.#localEndpoint());
  }

  #localEndpoint(): Endpoint {
    const { fd } = this.readiness;
    if (this.#hostTarget === undefined || fd === undefined || this.#remote === undefined) {
      return this.#local ?? { ip: anyAddress(this.family), port: 0 };
    }
    // The container's own address, with the port by which the host knows the connection.
    const family = hostFamily(this.#remote.ip);
    const name = host.localAddress(fd);
    const seen = name instanceof Errno ? name : parseEndpoint(family, name);
    const port = this.#local?.port ?? (seen instanceof Errno ? 0 : seen.port);
    const own = this.#net.outboundAddress(this.#remote.ip);
    return { ip: own ?? (seen instanceof Errno ? anyAddress(family) : seen.ip), port };
  }

  peerAddress(): Uint8Array | Errno {
    const { fd } = this.readiness;
    if (fd === undefined || this.#pending instanceof Errno) return ENOTCONN;
    if (this.#hostTarget !== undefined && host.peerAddress(fd) instanceof Errno) return ENOTCONN;
    return this.#remote === undefined ? ENOTCONN : formatEndpoint(this.family, this.#remote);
  }

  override lease(): Lease | undefined {
    // As long as it connects, the host's descriptor is the sentry's to wait for.
    return this.peerAddress() instanceof Errno ? undefined : super.lease();
  }

  override takeError(): number {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending instanceof Errno) return pending.number;
    return super.takeError();
  }

  override optionChanged(level: number, name: number, value: Uint8Array): Errno | undefined {
    const { fd } = this.readiness;
    if (this.#hostTarget !== undefined && fd !== undefined)
      return host.setOption(fd, level, name, value);
    return super.optionChanged(level, name, value);
  }

  /** `TCP_INFO`, with the state and nothing else within the container; undefined for other options. */
  info(level: number, name: number): Uint8Array | Errno | undefined {
    if (level !== IPPROTO_TCP || name !== TCP_INFO) return undefined;
    const { fd } = this.readiness;
    if (this.#hostTarget !== undefined && fd !== undefined)
      return host.getOption(fd, level, name, 256);
    const info = new Uint8Array(INFO_SIZE);
    info[0] = this.state;
    return info;
  }

  /** As `/proc/net/tcp` numbers states. */
  get state(): number {
    if (this.connected) return ESTABLISHED;
    if (this.listening) return LISTEN;
    return this.#cancel === undefined ? CLOSE : SYN_SENT;
  }

  /** Its close is to reset the connection: SO_LINGER with no time to linger. See socket(7). */
  #abort(): void {
    const { fd } = this.readiness;
    const linger = this.options.get(SOL_SOCKET, SO_LINGER);
    if (fd === undefined || linger instanceof Errno) return;
    const { onoff, seconds } = Linger.parse(linger);
    if (onoff === 0 || seconds !== 0) return;
    // Without another end in the container it is a TCP connection of the host.
    if (this.peer === undefined) host.setOption(fd, SOL_SOCKET, SO_LINGER, linger);
    else if (this.peer instanceof TcpSocket) {
      this.peer.expectReset();
      this.peer.#isReset = true;
    }
  }

  protected override release(): void {
    this.#cancel?.();
    this.#abort();
    if (this.readiness.fd !== undefined) this.#net.traffic.closing(this.readiness.fd);
    this.#network?.streams.delete(this);
    this.#port.release();
    super.release();
  }
}
