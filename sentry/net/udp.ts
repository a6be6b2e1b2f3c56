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
import { ANY4, ANY6, type Endpoint, type Ip, isV4, LOOPBACK4, LOOPBACK6 } from "../abi/ip.ts";
import {
  AF_INET6,
  AF_UNSPEC,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  MSG_PEEK,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SOCK_DGRAM,
} from "../abi/socket.ts";
import type { Reactor } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { Owner } from "../vfs/anonymous.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { POLL_ALL } from "../vfs/host-readiness.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { POLLERR, POLLIN, POLLOUT, POLLWRBAND, POLLWRNORM } from "../vfs/poll.ts";
import { familyOf, formatEndpoint, parseEndpoint } from "./address.ts";
import { DatagramInbox } from "./datagram-inbox.ts";
import { anyAddress, BoundPort, hostFamily, seenBy } from "./inet.ts";
import { type GroupMember, isMulticast, membershipOf } from "./multicast.ts";
import type { DatagramReceiver, NetworkNamespace } from "./namespace.ts";
import { OutsideDatagrams } from "./outside-datagrams.ts";
import { type IncomingMessage, type OutgoingMessage, Socket } from "./socket.ts";

/** The longest datagram: 65535 less the headers. See udp(7). */
const DATAGRAM_MAX = 65_507;
const IP_MULTICAST_LOOP = 34;
const IPV6_MULTICAST_LOOP = 19;

/**
 * A UDP socket of a container with a network of its own. Everything arrives in its inbox; what it sends to
 * the outside goes through a host socket, which it is itself as long as it is connected to the outside.
 */
export class UdpSocket extends Socket implements DatagramReceiver, GroupMember {
  readonly family: number;
  readonly #net: NetworkNamespace;
  readonly #port: BoundPort<DatagramReceiver>;
  #inbox: DatagramInbox | undefined;
  #connected: Endpoint | undefined;
  #outside: OutsideDatagrams | undefined;
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
    this.#port = new BoundPort(net.udp);
  }

  override bind(address: Uint8Array, _caller: Actor): Errno | undefined {
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    if (this.#port.held !== undefined) return EINVAL;
    const possible = this.#net.isLocal(endpoint.ip) || isMulticast(endpoint.ip);
    return possible ? this.#bindTo(endpoint) : EADDRNOTAVAIL;
  }

  #bindTo(endpoint: Endpoint): Errno | undefined {
    const inbox = DatagramInbox.create(this.reactor);
    if (inbox instanceof Errno) return inbox;
    const error = this.#port.take(endpoint, this, this.options, () => true);
    if (error !== undefined) {
      inbox.close();
      return error;
    }
    this.#inbox = inbox;
    this.readiness.attach(inbox.fd);
    return undefined;
  }

  /** Binds to any port if it is not bound yet, with an address that can reach `to`. */
  #bindFor(to: Ip): Errno | undefined {
    if (this.#port.held !== undefined) return undefined;
    const ip = this.family === AF_INET6 && !isV4(to) ? ANY6 : anyAddress(this.family);
    return this.#bindTo({ ip, port: 0 });
  }

  override connect(address: Uint8Array, _caller: Actor): Errno | undefined {
    if (familyOf(address) === AF_UNSPEC) {
      this.#disconnect();
      return undefined;
    }
    const endpoint = parseEndpoint(this.family, address);
    if (endpoint instanceof Errno) return endpoint;
    const remote = this.#net.concrete(endpoint);
    const route = this.#net.route(remote, "udp");
    if (route instanceof Errno) return route;
    const error = this.#bindFor(remote.ip);
    if (error !== undefined) return error;
    this.#disconnect();
    if (route.kind === "outside") {
      const outside = this.#goOutside(route.target.ip);
      if (outside instanceof Errno) return outside;
      const refused = outside.connect(route.target);
      if (refused !== undefined) return refused;
      this.readiness.attach(outside.fd);
    }
    this.#connected = remote;
    return undefined;
  }

  #disconnect(): void {
    this.#connected = undefined;
    if (this.#outside?.connected !== true || this.#inbox === undefined) return;
    this.readiness.attach(this.#inbox.fd);
    this.#outside.disconnect();
  }

  override send(message: OutgoingMessage): Transfer {
    if (this.#shut & (1 << SHUT_WR)) return EPIPE;
    const { address, buffer, flags } = message;
    if (buffer.length > DATAGRAM_MAX) return EMSGSIZE;
    const given = address === undefined ? this.#connected : parseEndpoint(this.family, address);
    if (given === undefined) return EDESTADDRREQ;
    if (given instanceof Errno) return given;
    if (given.port === 0) return EINVAL;
    if (address === undefined && this.#outside?.connected === true) {
      return this.#counted(host.send(this.#outside.fd, [buffer], flags));
    }
    const to = this.#net.concrete(given);
    const error = this.#takePending() ?? this.#bindFor(to.ip);
    return error ?? this.#sendTo(to, buffer, flags);
  }

  #sendTo(to: Endpoint, buffer: IoBuffer, flags: number): Transfer {
    const port = this.#port.held?.port ?? 0;
    const answered = this.#net.published?.answer(port, to, buffer);
    if (answered !== undefined) return answered;
    if (isMulticast(to.ip)) return this.#sendToGroup(to, port, buffer);
    const route = this.#net.route(to, "udp");
    if (route instanceof Errno) return route;
    switch (route.kind) {
      case "local":
        if (!this.#net.deliver({ ip: this.#sourceFor(to.ip), port }, to, buffer)) {
          this.refused(to);
        }
        // An inbox without room loses datagrams, as networks do.
        return buffer.length;
      case "network": {
        const own = route.network.addressFor(to.ip);
        if (own === undefined) return ENETUNREACH;
        const from = { ip: this.#sourceFor(own), port };
        return this.#counted(route.network.send(from, to, buffer) ?? buffer.length);
      }
      case "outside": {
        const outside = this.#goOutside(route.target.ip);
        return outside instanceof Errno
          ? outside
          : this.#counted(outside.send(to, route.target, buffer, flags));
      }
    }
  }

  /** To the members in the container, this socket's own memberships among them. */
  #sendToGroup(to: Endpoint, port: number, buffer: IoBuffer): Transfer {
    const [level, loop] = isV4(to.ip)
      ? [IPPROTO_IP, IP_MULTICAST_LOOP]
      : [IPPROTO_IPV6, IPV6_MULTICAST_LOOP];
    if (this.options.int(level, loop) === 0) return buffer.length;
    const own = this.#net.outboundAddress(to.ip) ?? (isV4(to.ip) ? LOOPBACK4 : LOOPBACK6);
    this.#net.groups.deliver({ ip: this.#sourceFor(own), port }, to, buffer);
    return buffer.length;
  }

  /** setsockopt(2) of a membership; undefined when the option is another. */
  setMembership(level: number, name: number, value: Uint8Array): Errno | number | undefined {
    const wanted = membershipOf(level, name, value);
    if (wanted === undefined || wanted instanceof Errno) return wanted;
    const { groups } = this.#net;
    const error = wanted.joins ? groups.join(wanted.group, this) : groups.leave(wanted.group, this);
    return error ?? 0;
  }

  get localPort(): number {
    return this.#port.held?.port ?? 0;
  }

  #counted(sent: Transfer): Transfer {
    if (typeof sent === "number") this.#net.traffic.sent(sent);
    return sent;
  }

  /** The address a datagram comes from: the bound one, or the container's `own` towards there. */
  #sourceFor(own: Ip): Ip {
    const bound = this.#port.held?.ip;
    const unusable = bound === undefined || bound === ANY4 || bound === ANY6 || isMulticast(bound);
    return unusable ? own : bound;
  }

  accepts(source: Endpoint): boolean {
    const only = this.#connected;
    return only === undefined || (only.ip === source.ip && only.port === source.port);
  }

  deliver(source: Endpoint, payload: IoBuffer): void {
    if (!this.#net.isLocal(source.ip)) this.#net.traffic.received(payload.length);
    this.#inbox?.deliver(formatEndpoint(this.family, source), payload);
  }

  /** What the network would tell by ICMP, a connected socket hears at its next call. */
  refused(by: Endpoint): void {
    if (this.#connected === undefined || !this.accepts(by)) return;
    this.#error = ECONNREFUSED;
    this.readiness.wake(POLL_ALL);
  }

  override poll(): number {
    return super.poll() | (this.#error === undefined ? 0 : POLLERR | POLLIN);
  }

  override get pollFd(): number | undefined {
    return this.#error === undefined ? super.pollFd : undefined;
  }

  override receive(buffer: IoBuffer, flags: number): IncomingMessage | Errno {
    const error = this.#takePending();
    if (error !== undefined) return error;
    if (this.#outside?.connected === true) {
      const received = host.receive(this.#outside.fd, [buffer], flags, false);
      if (received instanceof Errno) return received;
      if ((flags & MSG_PEEK) === 0) this.#net.traffic.received(received.count);
      const from = this.#connected;
      return { ...received, address: from && formatEndpoint(this.family, from) };
    }
    const unbound = this.#bindFor(anyAddress(this.family));
    if (unbound !== undefined || this.#inbox === undefined) return unbound ?? EINVAL;
    const datagram = this.#inbox.receive(buffer, flags, false);
    if (datagram instanceof Errno) return datagram;
    const { count, source } = datagram;
    return { count, flags: datagram.flags, address: source.length === 0 ? undefined : source };
  }

  /** As `/proc/net/udp` numbers states: connected, or not. */
  get state(): number {
    return this.#connected === undefined ? 7 : 1;
  }

  localAddress(): Uint8Array | Errno {
    const { ip, port } = this.#port.held ?? { ip: anyAddress(this.family), port: 0 };
    const to = this.#connected?.ip;
    const own = to === undefined ? ip : this.#sourceFor(this.#net.sourceTowards(to) ?? ip);
    return seenBy(this.family, formatEndpoint(this.family, { ip: own, port }));
  }

  peerAddress(): Uint8Array | Errno {
    if (this.#connected === undefined) return ENOTCONN;
    return formatEndpoint(this.family, this.#connected);
  }

  override shutdown(how: number): Errno | undefined {
    if (how < SHUT_RD || how > SHUT_RDWR) return EINVAL;
    if (this.#connected === undefined) return ENOTCONN;
    if (this.#outside?.connected === true) return host.shutdown(this.#outside.fd, how);
    if (how !== SHUT_WR) this.#inbox?.shutdown(SHUT_RD);
    if (how !== SHUT_RD) this.#shut |= 1 << SHUT_WR;
    return undefined;
  }

  override takeError(): number {
    const error = this.#takePending();
    if (error !== undefined) return error.number;
    return this.#outside?.connected === true ? host.takeError(this.#outside.fd) : 0;
  }

  override optionChanged(level: number, name: number, value: Uint8Array): Errno | undefined {
    return this.#outside === undefined
      ? undefined
      : host.setOption(this.#outside.fd, level, name, value);
  }

  protected override unread(): number | Errno {
    if (this.#outside?.connected === true) return super.unread();
    return this.#inbox?.next() ?? 0;
  }

  protected override get isDirect(): boolean {
    return this.#outside?.connected === true;
  }

  protected override release(): void {
    this.readiness.close();
    this.#net.groups.leaveAll(this);
    this.#port.release();
    this.#inbox?.close();
    this.#outside?.close();
  }

  #takePending(): Errno | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  /** The host socket, made at the first need. */
  #goOutside(to: Ip): OutsideDatagrams | Errno {
    if (this.family === AF_INET6 && this.options.int(IPPROTO_IPV6, IPV6_V6ONLY) === 1) {
      if (isV4(to)) return ENETUNREACH;
    }
    if (this.#outside !== undefined) return this.#outside;
    const fd = host.socket(hostFamily(to), SOCK_DGRAM, IPPROTO_UDP);
    if (fd instanceof Errno) return fd === EAFNOSUPPORT ? ENETUNREACH : fd;
    for (const { level, name, value } of this.options.all()) host.setOption(fd, level, name, value);
    this.#outside = new OutsideDatagrams(this.reactor, fd, hostFamily(to), this);
    return this.#outside;
  }
}
