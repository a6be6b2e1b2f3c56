/** A UDP socket's way to the outside: a host socket whose answers go on into the socket's inbox. */
import { EAFNOSUPPORT, Errno } from "../abi/errno.ts";
import { type Endpoint, isV4 } from "../abi/ip.ts";
import { AF_INET, AF_UNSPEC } from "../abi/socket.ts";
import { close } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { formatEndpoint, parseEndpoint } from "./address.ts";
import type { DatagramReceiver } from "./namespace.ts";

const POLLIN = 0x1;
const DATAGRAM_MAX = 65_536;
const DATAGRAMS_PER_TURN = 64;
/** Destinations that go by another address inside; more are forgotten. */
const ALIASES_MAX = 64;

let room: HostBuffer | undefined;

/** The datagram that waits at a host socket: its bytes, and who sent it. */
export function takeDatagram(
  fd: number,
  family: number,
): { readonly source: Endpoint; readonly payload: IoBuffer } | Errno {
  room ??= HostBuffer.allocate(DATAGRAM_MAX);
  const received = host.receive(fd, [room], 0, false);
  if (received instanceof Errno) return received;
  const source = parseEndpoint(family, received.address);
  return source instanceof Errno ? source : { source, payload: room.upTo(received.count) };
}

/** A host UDP socket on behalf of a container's. */
export class OutsideDatagrams {
  readonly fd: number;
  readonly #family: number;
  readonly #receiver: DatagramReceiver;
  readonly #watch: Watch;
  /** By which address the container knows a host address: the host's loopback is the gateway's. */
  readonly #aliases = new Map<string, Endpoint>();
  #connected = false;

  /** @param fd taken over. @param family of the host socket. */
  constructor(reactor: Reactor, fd: number, family: number, receiver: DatagramReceiver) {
    this.fd = fd;
    this.#family = family;
    this.#receiver = receiver;
    this.#watch = reactor.watch(fd, POLLIN, () => this.#pump());
  }

  /** Whether the container's socket is connected through it, and reads and writes it itself. */
  get connected(): boolean {
    return this.#connected;
  }

  connect(target: Endpoint): Errno | undefined {
    if (!this.#fits(target)) return EAFNOSUPPORT;
    const error = host.connect(this.fd, formatEndpoint(this.#family, target));
    if (error !== undefined) return error;
    this.#connected = true;
    this.#watch.setEvents(0);
    return undefined;
  }

  disconnect(): void {
    host.connect(
      this.fd,
      Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? AF_UNSPEC : 0)),
    );
    this.#connected = false;
    this.#watch.setEvents(POLLIN);
  }

  /** @param to as the container says it. @param target the same for the host. */
  send(to: Endpoint, target: Endpoint, buffer: IoBuffer, flags: number): Transfer {
    if (!this.#fits(target)) return EAFNOSUPPORT;
    if (to.ip !== target.ip && this.#aliases.size < ALIASES_MAX) {
      this.#aliases.set(`${target.ip}${target.port}`, to);
    }
    const address = formatEndpoint(this.#family, target);
    return host.send(this.fd, [buffer], flags, { address });
  }

  close(): void {
    this.#watch.close();
    close(this.fd);
  }

  #fits({ ip }: Endpoint): boolean {
    return isV4(ip) === (this.#family === AF_INET);
  }

  #pump(): void {
    for (let i = 0; i < DATAGRAMS_PER_TURN && !this.#connected; i++) {
      const datagram = takeDatagram(this.fd, this.#family);
      if (datagram instanceof Errno) return;
      const { source, payload } = datagram;
      const seen = this.#aliases.get(`${source.ip}${source.port}`) ?? source;
      if (this.#receiver.accepts(seen)) this.#receiver.deliver(seen, payload);
    }
  }
}
