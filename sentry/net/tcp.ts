import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  ECONNREFUSED,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENETUNREACH,
  ENOTCONN,
  EPIPE,
  Errno,
} from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/file.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  SO_LINGER,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { i32, struct } from "../abi/struct.ts";
import type { Reactor } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { Owner } from "../vfs/anonymous.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { POLLHUP, POLLOUT, POLLWRNORM, type Pollable, type Unsubscribe } from "../vfs/poll.ts";
import {
  ANY4,
  ANY6,
  type Endpoint,
  familyOf,
  formatEndpoint,
  isV4,
  LOOPBACK4,
  LOOPBACK6,
  parseEndpoint,
} from "./address.ts";
import type { NetworkNamespace } from "./namespace.ts";
import type { Binding } from "./ports.ts";
import { StreamSocket } from "./stream.ts";

/** `struct linger`, `<linux/socket.h>`. */
const Linger = struct({ onoff: i32, seconds: i32 });

const TCP_INFO = 11;
const INFO_SIZE = 104;
const ESTABLISHED = 1;
const CLOSE = 7;
const LISTEN = 10;

/**
 * A TCP socket of a container with a network of its own: connections within the container are pairs of host
 * sockets that no one else can reach, connections to the outside are host TCP sockets.
 */
export class TcpSocket extends StreamSocket {
  readonly family: number;
  protected readonly notConnected = { send: EPIPE, receive: ENOTCONN };
  readonly #net: NetworkNamespace;
  readonly #owner: Owner;
  #binding: Binding<TcpSocket> | undefined;
  #local: Endpoint | undefined;
  #remote: Endpoint | undefined;
  /** Connected through a host TCP socket, which knows its own addresses. */
  #outbound = false;
  /** The outcome of a nonblocking connect that nobody has asked for yet. */
  #pending: "connected" | Errno | undefined;
  #retry: Unsubscribe | undefined;
  #target: TcpSocket | undefined;

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
  }

  override bind(address: Uint8Array, _caller: Actor): Errno | undefined {
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    if (this.#binding !== undefined || this.connected) return EINVAL;
    if (!this.#net.isLocal(endpoint.ip)) return EADDRNOTAVAIL;
    return this.#bindTo(endpoint);
  }

  #bindTo(endpoint: Endpoint): Errno | undefined {
    const binding = this.#net.tcp.bind({
      ...endpoint,
      socket: this,
      v6Only: this.options.int(IPPROTO_IPV6, IPV6_V6ONLY) === 1,
      reuseAddress: this.options.int(SOL_SOCKET, SO_REUSEADDR) === 1,
      reusePort: this.options.int(SOL_SOCKET, SO_REUSEPORT) === 1,
      receives: () => this.listening,
    });
    if (binding instanceof Errno) return binding;
    this.#binding = binding;
    this.#local = { ip: binding.ip, port: binding.port };
    return undefined;
  }

  override listen(backlog: number, caller: Actor): Errno | undefined {
    if (this.#binding === undefined) {
      const error = this.#bindTo({ ip: this.family === AF_INET ? ANY4 : ANY6, port: 0 });
      if (error !== undefined) return error;
    }
    if (this.#binding !== undefined && !this.#net.tcp.mayReceive(this.#binding)) return EADDRINUSE;
    return super.listen(backlog, caller);
  }

  override connect(address: Uint8Array, caller: Actor): Errno | undefined {
    if (familyOf(address) === AF_UNSPEC) return this.connected ? EINVAL : undefined;
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) return pending === "connected" ? undefined : pending;
    if (this.#outbound) return this.#connectHost(endpoint);
    if (this.connected) return EISCONN;
    if (!this.#net.isLocal(endpoint.ip)) return this.#connectOut(endpoint);

    const error = this.#connectLocal(endpoint, caller);
    if ((this.flags & O_NONBLOCK) === 0) return error;
    if (error === EAGAIN) this.#connectLater(endpoint, caller);
    else if (error === undefined) this.#pending = "connected";
    else if (error === ECONNREFUSED) this.#refused();
    else return error;
    return EINPROGRESS;
  }

  /** @returns `ECONNREFUSED`, `EAGAIN`. */
  #connectLocal(endpoint: Endpoint, caller: Actor): Errno | undefined {
    const remote = this.#net.concrete(endpoint);
    const listener = this.#net.tcp.find(remote);
    if (listener === undefined) return ECONNREFUSED;
    this.#target = listener;
    if (this.#binding === undefined) {
      const error = this.#bindTo({ ip: isV4(remote.ip) ? LOOPBACK4 : LOOPBACK6, port: 0 });
      if (error !== undefined) return EADDRNOTAVAIL;
    }
    this.#remote = remote;
    const port = this.#local?.port ?? 0;
    this.#local = { ip: remote.ip, port };
    return this.connectTo(listener, caller);
  }

  #refused(): void {
    this.#pending = ECONNREFUSED;
    this.failConnecting();
  }

  /** The listener's queue is full: goes on when it has room. */
  #connectLater(endpoint: Endpoint, caller: Actor): void {
    this.readiness.setIdle(0, 0);
    this.#retry = this.waitToConnect().subscribe(POLLOUT, () => {
      const error = this.#connectLocal(endpoint, caller);
      if (error === EAGAIN) return;
      this.#retry?.();
      this.#retry = undefined;
      if (error === undefined) this.#pending = "connected";
      else this.#refused();
    });
  }

  override waitToConnect(): Pollable {
    return this.#target?.room ?? this;
  }

  #connectOut(endpoint: Endpoint): Errno | undefined {
    if (!this.#net.mayReach(endpoint, "tcp")) return ENETUNREACH;
    const family = isV4(endpoint.ip) ? AF_INET : AF_INET6;
    const fd = host.socket(family, SOCK_STREAM, IPPROTO_TCP);
    if (fd instanceof Errno) return fd;
    for (const { level, name, value } of this.options.all()) {
      host.setOption(fd, level, name, value);
    }
    this.#outbound = true;
    this.#remote = endpoint;
    const error = host.connect(fd, formatEndpoint(family, endpoint));
    this.adopt(fd);
    return error;
  }

  #connectHost(endpoint: Endpoint): Errno | undefined {
    const { fd } = this.readiness;
    const family = isV4(endpoint.ip) ? AF_INET : AF_INET6;
    return fd === undefined ? ENOTCONN : host.connect(fd, formatEndpoint(family, endpoint));
  }

  protected override newAccepted(connector: StreamSocket): StreamSocket {
    const accepted = new TcpSocket(this.reactor, this.#net, this.family, 0, this.#owner);
    for (const { level, name, value } of this.options.all()) {
      accepted.options.set(level, name, value);
    }
    if (connector instanceof TcpSocket) {
      accepted.#local = connector.#remote;
      accepted.#remote = connector.#local;
    }
    return accepted;
  }

  /**
   * Hands this listener a connection that somebody made from outside the container, such as to a published
   * port. @param fd the connected host socket, which it takes over.
   */
  offer(fd: number, local: Endpoint, remote: Endpoint): void {
    const accepted = new TcpSocket(this.reactor, this.#net, this.family, 0, this.#owner);
    accepted.#local = local;
    accepted.#remote = remote;
    accepted.adopt(fd);
    this.enqueue(accepted);
  }

  localAddress(): Uint8Array | Errno {
    const { fd } = this.readiness;
    if (this.#outbound && fd !== undefined) return this.#ofHost(host.localAddress(fd));
    const any = { ip: this.family === AF_INET ? ANY4 : ANY6, port: 0 };
    return formatEndpoint(this.family, this.#local ?? any);
  }

  peerAddress(): Uint8Array | Errno {
    const { fd } = this.readiness;
    if (fd === undefined || this.#pending instanceof Errno) return ENOTCONN;
    if (this.#outbound) return this.#ofHost(host.peerAddress(fd));
    return this.#remote === undefined ? ENOTCONN : formatEndpoint(this.family, this.#remote);
  }

  /** A host address as this socket's family writes it. */
  #ofHost(address: Uint8Array | Errno): Uint8Array | Errno {
    if (address instanceof Errno) return address;
    const family = familyOf(address);
    if (family instanceof Errno || family === this.family) return address;
    const endpoint = parseEndpoint(family, address);
    return endpoint instanceof Errno ? endpoint : formatEndpoint(this.family, endpoint);
  }

  override takeError(): number {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending instanceof Errno) return pending.number;
    return super.takeError();
  }

  override optionChanged(level: number, name: number, value: Uint8Array): Errno | undefined {
    const { fd } = this.readiness;
    if (this.#outbound && fd !== undefined) return host.setOption(fd, level, name, value);
    return super.optionChanged(level, name, value);
  }

  /** `TCP_INFO`, with the state and nothing else within the container; undefined for other options. */
  info(level: number, name: number): Uint8Array | Errno | undefined {
    if (level !== IPPROTO_TCP || name !== TCP_INFO) return undefined;
    const { fd } = this.readiness;
    if (this.#outbound && fd !== undefined) return host.getOption(fd, level, name, 256);
    const info = new Uint8Array(INFO_SIZE);
    info[0] = this.connected ? ESTABLISHED : this.listening ? LISTEN : CLOSE;
    return info;
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
    else if (this.peer instanceof TcpSocket) this.peer.expectReset();
  }

  protected override release(): void {
    this.#retry?.();
    this.#abort();
    if (this.#binding !== undefined) this.#net.tcp.release(this.#binding);
    super.release();
  }
}
