/** Ports of the host that lead to the container: docker's `-p`. */
import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import {
  ANY4,
  ANY6,
  type Endpoint,
  formatIp,
  type Ip,
  isLoopback,
  isV4,
  parseIp,
} from "../abi/ip.ts";
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  SO_LINGER,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  SOMAXCONN,
} from "../abi/socket.ts";
import { close } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import type { PublishedPort, PublishSpec, TransportProtocol } from "../spec.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { formatEndpoint, parseEndpoint } from "./address.ts";
import { hostFamily } from "./inet.ts";
import type { NetworkNamespace } from "./namespace.ts";
import { intBytes } from "./options.ts";
import { takeDatagram } from "./outside-datagrams.ts";

const POLLIN = 0x1;
const ACCEPTS_PER_TURN = 64;
const DATAGRAMS_PER_TURN = 64;
/** Clients of a datagram port that can be answered; the one longest silent is forgotten. */
const CLIENTS_MAX = 4096;
/** Tries to find a port that is free for both families. */
const EPHEMERAL_TRIES = 16;
/** A connection for which the container's listener has no room is offered again after this long. */
const RETRY_NS = 5_000_000n;

/** A port of the host that is to lead to the container cannot be had. */
export class PortTaken extends Error {
  readonly code = "PORT_TAKEN";

  constructor(ip: Ip, port: number, error: Errno) {
    const why =
      error.name === "EADDRINUSE" ? "port is already allocated" : error.text.toLowerCase();
    const shown = isV4(ip) ? formatIp(ip) : `[${formatIp(ip)}]`;
    super(`Bind for ${shown}:${port} failed: ${why}`);
  }
}

/** A host socket bound to one address. */
interface Bound {
  readonly fd: number;
  readonly ip: Ip;
  readonly port: number;
}

interface Client {
  readonly fd: number;
  /** As the host knows it. */
  readonly address: Uint8Array;
}

/** The published ports of a container at work. */
export class PublishedPorts {
  readonly #reactor: Reactor;
  readonly #net: NetworkNamespace;
  readonly #ports: (PublishedPort & { readonly fd: number; watch: Watch | undefined })[] = [];
  /** Who sent datagrams here, by container port, address and port as the container sees them. */
  readonly #clients = new Map<string, Client>();

  /** @throws {PortTaken}; then nothing is left open. */
  constructor(reactor: Reactor, net: NetworkNamespace, specs: readonly PublishSpec[]) {
    this.#reactor = reactor;
    this.#net = net;
    try {
      for (const spec of specs) this.#open(spec);
    } catch (error) {
      this.close();
      throw error;
    }
    for (const port of this.#ports) this.#watch(port);
  }

  /** What is published, with the numbers the host really has. */
  list(): readonly PublishedPort[] {
    return this.#ports.map(({ protocol, containerPort, hostIp, hostPort }) => ({
      protocol,
      containerPort,
      hostIp,
      hostPort,
    }));
  }

  /**
   * Answers a client of a published datagram port.
   * @param port the container's. @returns undefined when `to` is no such client.
   */
  answer(port: number, to: Endpoint, buffer: IoBuffer): Transfer | undefined {
    const client = this.#clients.get(`${port} ${to.ip} ${to.port}`);
    return client && host.send(client.fd, [buffer], 0, { address: client.address });
  }

  close(): void {
    for (const { fd, watch } of this.#ports.splice(0)) {
      watch?.close();
      close(fd);
    }
  }

  #open(spec: PublishSpec): void {
    const { protocol, containerPort, hostIp, hostPort, hostPortEnd } = spec;
    const wanted = hostIp === "" ? ANY4 : parseIp(hostIp);
    if (wanted === undefined) throw new Error(`The host address ${hostIp} is malformed`);
    const bound = hostPort === 0 ? this.#anyPort(spec, wanted) : undefined;
    for (let port = hostPort; bound === undefined && port <= hostPortEnd; port++) {
      const sockets = bindAll(protocol, wanted, port, hostIp === "");
      if (sockets instanceof Errno) {
        if (port === hostPortEnd) throw new PortTaken(wanted, hostPort, sockets);
        continue;
      }
      this.#keep(protocol, containerPort, sockets);
      return;
    }
    this.#keep(protocol, containerPort, bound ?? []);
  }

  #anyPort({ protocol, hostIp }: PublishSpec, wanted: Ip): readonly Bound[] {
    for (let i = 1; ; i++) {
      const sockets = bindAll(protocol, wanted, 0, hostIp === "");
      if (!(sockets instanceof Errno)) return sockets;
      if (i === EPHEMERAL_TRIES) throw new PortTaken(wanted, 0, sockets);
    }
  }

  #keep(protocol: TransportProtocol, containerPort: number, sockets: readonly Bound[]): void {
    for (const { fd, ip, port } of sockets) {
      const hostIp = formatIp(ip);
      this.#ports.push({ protocol, containerPort, hostIp, hostPort: port, fd, watch: undefined });
    }
  }

  #watch(port: PublishedPort & { readonly fd: number; watch: Watch | undefined }): void {
    const { fd, protocol, containerPort } = port;
    const family = hostFamily(parseIp(port.hostIp) ?? ANY4);
    const ready =
      protocol === "tcp"
        ? () => this.#accept(port, family)
        : () => this.#receive(fd, family, containerPort);
    port.watch = this.#reactor.watch(fd, POLLIN, ready);
  }

  #accept(
    port: PublishedPort & { readonly fd: number; readonly watch: Watch | undefined },
    family: number,
  ): void {
    for (let i = 0; i < ACCEPTS_PER_TURN; i++) {
      const fd = host.accept(port.fd);
      if (fd instanceof Errno) return;
      const name = host.peerAddress(fd);
      const client = name instanceof Errno ? name : parseEndpoint(family, name);
      if (client instanceof Errno) close(fd);
      else if (!this.#offer(fd, this.#seen(client), port)) return;
    }
  }

  /** Hands a connection over. @returns false when the container has no room for more. */
  #offer(
    fd: number,
    client: Endpoint,
    port: PublishedPort & { readonly watch: Watch | undefined },
  ): boolean {
    const to = { ip: this.#ownAddress(client.ip), port: port.containerPort };
    const refused = this.#net.acceptStream(fd, client, to);
    if (refused === EAGAIN) {
      // The others wait in the host's own queue.
      port.watch?.setEvents(0);
      this.#reactor.at(this.#reactor.now() + RETRY_NS, () => {
        if (this.#ports.length === 0) close(fd);
        else if (this.#offer(fd, client, port)) port.watch?.setEvents(POLLIN);
      });
      return false;
    }
    if (refused !== undefined) reset(fd);
    return true;
  }

  #receive(fd: number, family: number, containerPort: number): void {
    for (let i = 0; i < DATAGRAMS_PER_TURN; i++) {
      const datagram = takeDatagram(fd, family);
      if (datagram === EINTR) continue;
      if (datagram instanceof Errno) return;
      const { source, payload } = datagram;
      const client = this.#seen(source);
      this.#remember(`${containerPort} ${client.ip} ${client.port}`, {
        fd,
        address: formatEndpoint(family, source),
      });
      this.#net.deliver(client, { ip: this.#ownAddress(client.ip), port: containerPort }, payload);
    }
  }

  #remember(key: string, client: Client): void {
    this.#clients.delete(key);
    this.#clients.set(key, client);
    for (const oldest of this.#clients.keys()) {
      if (this.#clients.size <= CLIENTS_MAX) break;
      this.#clients.delete(oldest);
    }
  }

  /** The client as the container sees it: who is on the host itself, or of a family it lacks, is the gateway. */
  #seen({ ip, port }: Endpoint): Endpoint {
    const lacks = isV4(ip) !== isV4(this.#ownAddress(ip));
    return { ip: isLoopback(ip) || lacks ? (this.#net.gateway ?? ip) : ip, port };
  }

  #ownAddress(from: Ip): Ip {
    return this.#net.outboundAddress(from) ?? this.#net.outboundAddress(ANY4) ?? ANY4;
  }
}

/** Ends a connection as a host does on whose port nobody listens. */
function reset(fd: number): void {
  host.setOption(fd, SOL_SOCKET, SO_LINGER, Buffer.concat([intBytes(1), intBytes(0)]));
  close(fd);
}

/** Sockets on `port` of `ip`, and of the other family's "any" address where the host has that family. */
function bindAll(
  protocol: TransportProtocol,
  ip: Ip,
  port: number,
  bothFamilies: boolean,
): readonly Bound[] | Errno {
  const first = bindOne(protocol, ip, port);
  if (first instanceof Errno) return first;
  if (!bothFamilies) return [first];
  const second = bindOne(protocol, ANY6, first.port);
  if (!(second instanceof Errno)) return [first, second];
  if (second.name !== "EADDRINUSE") return [first];
  close(first.fd);
  return second;
}

function bindOne(protocol: TransportProtocol, ip: Ip, port: number): Bound | Errno {
  const family = isV4(ip) ? AF_INET : AF_INET6;
  const type = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM;
  const fd = host.socket(family, type, protocol === "tcp" ? IPPROTO_TCP : IPPROTO_UDP);
  if (fd instanceof Errno) return fd;
  if (family === AF_INET6) host.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, intBytes(1));
  if (protocol === "tcp") host.setOption(fd, SOL_SOCKET, SO_REUSEADDR, intBytes(1));
  const error =
    host.bind(fd, formatEndpoint(family, { ip, port })) ??
    (protocol === "tcp" ? host.listen(fd, SOMAXCONN) : undefined);
  const name = error ?? host.localAddress(fd);
  const taken = name instanceof Errno ? name : parseEndpoint(family, name);
  if (taken instanceof Errno) {
    close(fd);
    return taken;
  }
  return { fd, ...taken };
}
