import { EDESTADDRREQ, EINVAL, EMSGSIZE, ENOTCONN, Errno } from "../abi/errno.ts";
import { ANY4, type Endpoint, type Ip, LOOPBACK4, v4Bytes } from "../abi/ip.ts";
import { AF_INET, AF_UNSPEC, IPPROTO_ICMP, SOCK_DGRAM, SOCK_RAW } from "../abi/socket.ts";
import { close } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { Owner } from "../vfs/anonymous.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { POLLOUT, POLLWRNORM } from "../vfs/poll.ts";
import { familyOf, formatEndpoint, parseEndpoint } from "./address.ts";
import { DatagramInbox } from "./datagram-inbox.ts";
import type { NetworkNamespace } from "./namespace.ts";
import { takeDatagram } from "./outside-datagrams.ts";
import { PeerNetwork } from "./peer-network.ts";
import { type IncomingMessage, type OutgoingMessage, Socket } from "./socket.ts";

const POLLIN = 0x1;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const HEADER_SIZE = 8;
const MESSAGE_MAX = 65_507;
const TTL = 64;
let lastIdentifier = Math.floor(Math.random() * 0x10000);

/**
 * What ping(8) uses: echo requests and their replies, as a "ping socket" (SOCK_DGRAM) or raw with the IP
 * header in front. There is no host behind an address of a network that could answer: its sentry's record
 * does. Requests to the outside go through a ping socket of the host, where the host lets its user have one.
 */
export class IcmpSocket extends Socket {
  readonly family = AF_INET;
  readonly #net: NetworkNamespace;
  readonly #inbox: DatagramInbox;
  #identifier = 0;
  #connected: Ip | undefined;
  #outside: { readonly fd: number; readonly watch: Watch } | undefined;

  private constructor(
    reactor: Reactor,
    net: NetworkNamespace,
    type: number,
    flags: number,
    owner: Owner,
    inbox: DatagramInbox,
  ) {
    super(reactor, type, IPPROTO_ICMP, flags, owner, POLLOUT | POLLWRNORM);
    this.#net = net;
    this.#inbox = inbox;
    this.readiness.attach(inbox.fd);
  }

  static create(
    reactor: Reactor,
    net: NetworkNamespace,
    type: number,
    flags: number,
    owner: Owner,
  ): IcmpSocket | Errno {
    const inbox = DatagramInbox.create(reactor);
    return inbox instanceof Errno ? inbox : new IcmpSocket(reactor, net, type, flags, owner, inbox);
  }

  /** The port of a ping socket is its identifier. */
  override bind(address: Uint8Array): Errno | undefined {
    const endpoint = parseEndpoint(AF_INET, address);
    if (endpoint instanceof Errno) return endpoint;
    this.#identifier = endpoint.port;
    return undefined;
  }

  override connect(address: Uint8Array): Errno | undefined {
    if (familyOf(address) === AF_UNSPEC) {
      this.#connected = undefined;
      return undefined;
    }
    const endpoint = parseEndpoint(AF_INET, address);
    if (endpoint instanceof Errno) return endpoint;
    this.#connected = this.#net.concrete(endpoint).ip;
    return undefined;
  }

  override send({ address, buffer }: OutgoingMessage): Transfer {
    if (buffer.length > MESSAGE_MAX) return EMSGSIZE;
    const given = address === undefined ? this.#connected : parseEndpoint(AF_INET, address);
    if (given === undefined) return EDESTADDRREQ;
    if (given instanceof Errno) return given;
    const ip = typeof given === "string" ? given : this.#net.concrete(given).ip;
    const request = Buffer.from(buffer.take());
    const isEcho = request.length >= HEADER_SIZE && request[0] === ECHO_REQUEST;
    if (!isEcho) return this.type === SOCK_RAW ? buffer.length : EINVAL;
    if (this.type === SOCK_DGRAM) request.writeUInt16BE(this.#ownIdentifier(), 4);
    return this.#ask(ip, request) ?? buffer.length;
  }

  #ownIdentifier(): number {
    if (this.#identifier === 0) {
      lastIdentifier = (lastIdentifier + 1) & 0xffff || 1;
      this.#identifier = lastIdentifier;
    }
    return this.#identifier;
  }

  #ask(ip: Ip, request: Buffer): Errno | undefined {
    const route = this.#net.route({ ip, port: 0 }, "icmp");
    if (route instanceof Errno) return route;
    switch (route.kind) {
      case "local":
        this.#answer(ip, request);
        return undefined;
      case "network": {
        const { network } = route;
        // Nobody there: no answer, as on a network.
        if (network instanceof PeerNetwork && network.peerAt(ip) === undefined) return undefined;
        this.#answer(ip, request);
        return undefined;
      }
      case "outside":
        if (route.target.ip === LOOPBACK4) this.#answer(ip, request);
        else return this.#askOutside(ip, request);
        return undefined;
    }
  }

  /** @returns what the host says when its user may not ping. */
  #askOutside(ip: Ip, request: Buffer): Errno | undefined {
    if (this.#outside === undefined) {
      const fd = host.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
      if (fd instanceof Errno) return fd;
      const identifier = request.readUInt16BE(4);
      const watch = this.reactor.watch(fd, POLLIN, () => this.#receiveOutside(fd, identifier));
      this.#outside = { fd, watch };
    }
    const address = formatEndpoint(AF_INET, { ip, port: 0 });
    const sent = host.send(this.#outside.fd, [HostBuffer.of(request)], 0, { address });
    return sent instanceof Errno ? sent : undefined;
  }

  /** The host's ping socket has an identifier of its own; the guest sees the one it chose. */
  #receiveOutside(fd: number, identifier: number): void {
    const datagram = takeDatagram(fd, AF_INET);
    if (datagram instanceof Errno) return;
    const reply = Buffer.from(datagram.payload.take());
    if (reply.length < HEADER_SIZE) return;
    reply.writeUInt16BE(identifier, 4);
    this.#deliver(datagram.source.ip, reply);
  }

  #answer(ip: Ip, request: Buffer): void {
    const reply = Buffer.from(request);
    reply[0] = ECHO_REPLY;
    this.#deliver(ip, reply);
  }

  #deliver(from: Ip, reply: Buffer): void {
    reply.writeUInt16BE(0, 2);
    reply.writeUInt16BE(checksum(reply), 2);
    const own = this.#net.sourceTowards(from) ?? LOOPBACK4;
    const bytes =
      this.type === SOCK_RAW ? Buffer.concat([ipHeader(from, own, reply), reply]) : reply;
    this.#inbox.deliver(formatEndpoint(AF_INET, { ip: from, port: 0 }), HostBuffer.of(bytes));
  }

  override receive(buffer: IoBuffer, flags: number): IncomingMessage | Errno {
    const datagram = this.#inbox.receive(buffer, flags, false);
    if (datagram instanceof Errno) return datagram;
    const { count, source } = datagram;
    return { count, flags: datagram.flags, address: source.length === 0 ? undefined : source };
  }

  localAddress(): Uint8Array {
    const ip = this.#connected === undefined ? ANY4 : this.#net.sourceTowards(this.#connected);
    const port = this.type === SOCK_DGRAM ? this.#identifier : 0;
    return formatEndpoint(AF_INET, { ip: ip ?? ANY4, port } satisfies Endpoint);
  }

  peerAddress(): Uint8Array | Errno {
    if (this.#connected === undefined) return ENOTCONN;
    return formatEndpoint(AF_INET, { ip: this.#connected, port: 0 });
  }

  protected override unread(): number | Errno {
    return this.#inbox.next();
  }

  protected override release(): void {
    this.readiness.close();
    this.#inbox.close();
    this.#outside?.watch.close();
    if (this.#outside !== undefined) close(this.#outside.fd);
  }
}

/** See RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  if (bytes.length % 2 === 1) sum += (bytes.at(-1) ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The header that a raw socket reads in front of what has arrived. */
function ipHeader(from: Ip, to: Ip, payload: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt8(TTL, 8);
  header.writeUInt8(IPPROTO_ICMP, 9);
  header.set(v4Bytes(from), 12);
  header.set(v4Bytes(to), 16);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}
