import {
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  ECONNREFUSED,
  EDESTADDRREQ,
  EINVAL,
  EMSGSIZE,
  ENETUNREACH,
  ENOTCONN,
  EPIPE,
  Errno,
} from "../abi/errno.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { close } from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { Owner } from "../vfs/anonymous.ts";
import type { Actor } from "../vfs/fs-context.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { POLLOUT, POLLWRBAND, POLLWRNORM } from "../vfs/poll.ts";
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
import { DatagramInbox } from "./datagram-inbox.ts";
import type { NetworkNamespace } from "./namespace.ts";
import type { Binding } from "./ports.ts";
import { type IncomingMessage, type OutgoingMessage, Socket } from "./socket.ts";

/** The longest datagram: 65535 less the headers. See udp(7). */
const DATAGRAM_MAX = 65_507;

/**
 * A UDP socket of a container with a network of its own: datagrams within the container go from inbox to
 * inbox; the first one to the outside turns it into a host UDP socket.
 */
export class UdpSocket extends Socket {
  readonly family: number;
  readonly #net: NetworkNamespace;
  #binding: Binding<UdpSocket> | undefined;
  #inbox: DatagramInbox | undefined;
  #connected: Endpoint | undefined;
  /** The host socket, once something has gone outside. */
  #outside: number | undefined;
  #error: Errno | undefined;
  #shut = 0;

  constructor(
    reactor: Reactor,
    net: NetworkNamespace,
    family: number,
    flags: number,
    owner: Owner,
  ) {
    super(reactor, SOCK_DGRAM, IPPROTO_UDP, flags, owner, POLLOUT | POLLWRNORM | POLLWRBAND);
    this.#net = net;
    this.family = family;
  }

  override bind(address: Uint8Array, _caller: Actor): Errno | undefined {
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    if (this.#binding !== undefined) return EINVAL;
    return this.#net.isLocal(endpoint.ip) ? this.#bindTo(endpoint) : EADDRNOTAVAIL;
  }

  #bindTo(endpoint: Endpoint): Errno | undefined {
    const inbox = DatagramInbox.create(this.reactor);
    if (inbox instanceof Errno) return inbox;
    const binding = this.#net.udp.bind({
      ...endpoint,
      socket: this,
      v6Only: this.options.int(IPPROTO_IPV6, IPV6_V6ONLY) === 1,
      reuseAddress: this.options.int(SOL_SOCKET, SO_REUSEADDR) === 1,
      reusePort: this.options.int(SOL_SOCKET, SO_REUSEPORT) === 1,
      receives: () => this.#outside === undefined,
    });
    if (binding instanceof Errno) {
      inbox.close();
      return binding;
    }
    this.#binding = binding;
    this.#inbox = inbox;
    if (this.#outside === undefined) this.readiness.attach(inbox.fd);
    return undefined;
  }

  /** Binds to any port if it is not bound yet, with an address that can reach `to`. */
  #bindFor(to: Endpoint): Errno | undefined {
    if (this.#binding !== undefined) return undefined;
    return this.#bindTo({ ip: isV4(to.ip) ? ANY4 : ANY6, port: 0 });
  }

  override connect(address: Uint8Array, _caller: Actor): Errno | undefined {
    if (familyOf(address) === AF_UNSPEC) {
      this.#connected = undefined;
      if (this.#outside !== undefined) return host.connect(this.#outside, address);
      return undefined;
    }
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    if (!this.#net.isLocal(endpoint.ip)) {
      const fd = this.#goOutside(endpoint);
      if (fd instanceof Errno) return fd;
      const error = host.connect(fd, this.#hostAddress(endpoint));
      if (error === undefined) this.#connected = endpoint;
      return error;
    }
    const remote = this.#net.concrete(endpoint);
    const error = this.#bindFor(remote);
    if (error !== undefined) return error;
    this.#connected = remote;
    return undefined;
  }

  override send(message: OutgoingMessage): Transfer {
    if (this.#shut & (1 << SHUT_WR)) return EPIPE;
    const { address, buffer, flags } = message;
    if (buffer.length > DATAGRAM_MAX) return EMSGSIZE;
    const to = address === undefined ? this.#connected : parseEndpoint(this.family, address);
    if (to === undefined) return EDESTADDRREQ;
    if (to instanceof Errno) return to;
    if (to.port === 0) return EINVAL;
    if (this.#net.isLocal(to.ip)) return this.#sendWithin(this.#net.concrete(to), buffer);
    const fd = this.#goOutside(to);
    if (fd instanceof Errno) return fd;
    const connected = address === undefined;
    return host.send(fd, [buffer], flags, {
      address: connected ? undefined : this.#hostAddress(to),
    });
  }

  #sendWithin(to: Endpoint, buffer: IoBuffer): Transfer {
    const error = this.#takePending() ?? this.#bindFor(to);
    if (error !== undefined) return error;
    const receiver = this.#net.udp.find(to);
    const source = { ip: this.#sourceFor(to), port: this.#binding?.port ?? 0 };
    const accepted = receiver?.accepts(source) ? receiver.#inbox : undefined;
    if (accepted === undefined) {
      // What the network would tell by ICMP, a connected socket hears at its next call.
      if (this.#connected !== undefined) this.#error = ECONNREFUSED;
      return buffer.length;
    }
    const family = receiver?.family ?? this.family;
    const sent = accepted.deliver(formatEndpoint(family, source), buffer);
    // An inbox without room loses datagrams, as networks do.
    return typeof sent === "number" ? sent : buffer.length;
  }

  /** Whether a connected socket hears `source`. */
  accepts(source: Endpoint): boolean {
    const only = this.#connected;
    return only === undefined || (only.ip === source.ip && only.port === source.port);
  }

  #sourceFor(to: Endpoint): string {
    const bound = this.#binding?.ip;
    if (bound !== undefined && bound !== ANY4 && bound !== ANY6) return bound;
    return isV4(to.ip) ? LOOPBACK4 : LOOPBACK6;
  }

  override receive(buffer: IoBuffer, flags: number): IncomingMessage | Errno {
    const error = this.#takePending();
    if (error !== undefined) return error;
    if (this.#outside !== undefined) {
      const received = host.receive(this.#outside, [buffer], flags, false);
      if (received instanceof Errno) return received;
      const address = this.#ofHost(received.address);
      return { ...received, address: address instanceof Errno ? undefined : address };
    }
    const unbound = this.#bindFor({ ip: this.family === AF_INET ? ANY4 : ANY6, port: 0 });
    if (unbound !== undefined || this.#inbox === undefined) return unbound ?? EINVAL;
    const datagram = this.#inbox.receive(buffer, flags, false);
    if (datagram instanceof Errno) return datagram;
    const { count, source } = datagram;
    return { count, flags: datagram.flags, address: source.length === 0 ? undefined : source };
  }

  localAddress(): Uint8Array | Errno {
    if (this.#outside !== undefined) return this.#ofHost(host.localAddress(this.#outside));
    const { ip, port } = this.#binding ?? { ip: this.family === AF_INET ? ANY4 : ANY6, port: 0 };
    const concrete = this.#connected === undefined ? ip : this.#sourceFor(this.#connected);
    return formatEndpoint(this.family, { ip: concrete, port });
  }

  peerAddress(): Uint8Array | Errno {
    if (this.#connected === undefined) return ENOTCONN;
    return formatEndpoint(this.family, this.#connected);
  }

  override shutdown(how: number): Errno | undefined {
    if (how < SHUT_RD || how > SHUT_RDWR) return EINVAL;
    if (this.#connected === undefined) return ENOTCONN;
    if (this.#outside !== undefined) return host.shutdown(this.#outside, how);
    if (how !== SHUT_WR) this.#inbox?.shutdown(SHUT_RD);
    if (how !== SHUT_RD) this.#shut |= 1 << SHUT_WR;
    return undefined;
  }

  override takeError(): number {
    const error = this.#takePending();
    if (error !== undefined) return error.number;
    return this.#outside === undefined ? 0 : host.takeError(this.#outside);
  }

  override optionChanged(level: number, name: number, value: Uint8Array): Errno | undefined {
    return this.#outside === undefined
      ? undefined
      : host.setOption(this.#outside, level, name, value);
  }

  protected override unread(): number | Errno {
    if (this.#outside !== undefined) return super.unread();
    return this.#inbox?.next() ?? 0;
  }

  protected override get isDirect(): boolean {
    return this.#outside !== undefined;
  }

  protected override release(): void {
    this.readiness.close();
    if (this.#binding !== undefined) this.#net.udp.release(this.#binding);
    this.#inbox?.close();
    if (this.#outside !== undefined) close(this.#outside);
  }

  #takePending(): Errno | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  /** The host socket, made at the first need. @returns `ENETUNREACH` when the policy forbids the way. */
  #goOutside(to: Endpoint): number | Errno {
    if (!this.#net.mayReach(to, "udp")) return ENETUNREACH;
    if (this.#outside !== undefined) return this.#outside;
    if (this.family === AF_INET6 && this.options.int(IPPROTO_IPV6, IPV6_V6ONLY) === 1) {
      if (isV4(to.ip)) return ENETUNREACH;
    }
    const family = isV4(to.ip) ? AF_INET : AF_INET6;
    const fd = host.socket(family, SOCK_DGRAM, IPPROTO_UDP);
    if (fd instanceof Errno) return fd === EAFNOSUPPORT ? ENETUNREACH : fd;
    for (const { level, name, value } of this.options.all()) host.setOption(fd, level, name, value);
    this.#outside = fd;
    this.readiness.attach(fd);
    return fd;
  }

  #hostAddress(to: Endpoint): Uint8Array {
    return formatEndpoint(isV4(to.ip) ? AF_INET : AF_INET6, to);
  }

  #ofHost(address: Uint8Array | Errno): Uint8Array | Errno {
    if (address instanceof Errno) return address;
    const family = familyOf(address);
    if (family instanceof Errno || family === this.family) return address;
    const endpoint = parseEndpoint(family, address);
    return endpoint instanceof Errno ? endpoint : formatEndpoint(this.family, endpoint);
  }
}
