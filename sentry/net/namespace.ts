import {
  EAFNOSUPPORT,
  EINVAL,
  EPERM,
  EPROTONOSUPPORT,
  Errno,
  ESOCKTNOSUPPORT,
} from "../abi/errno.ts";
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../abi/socket.ts";
import type { Reactor } from "../host/reactor.ts";
import type { Owner } from "../vfs/anonymous.ts";
import { ANY4, ANY6, type Endpoint, type Ip, isLoopback, LOOPBACK4, LOOPBACK6 } from "./address.ts";
import { HostSocket } from "./host-inet.ts";
import {
  BRIDGE_INTERFACE,
  hostInterfaces,
  type Interface,
  LOOPBACK_INTERFACE,
} from "./interfaces.ts";
import { NetlinkSocket } from "./netlink.ts";
import { Ports } from "./ports.ts";
import { RightsInFlight } from "./rights.ts";
import type { PeerCredentials, Socket } from "./socket.ts";
import { TcpSocket } from "./tcp.ts";
import { UdpSocket } from "./udp.ts";
import { UnixDatagram, UnixNames, UnixStream } from "./unix.ts";

/** Which ways out of the container's own network there are. */
export interface NetworkOptions {
  /**
   * `none`: loopback only; `bridge`: an address of its own, and outside what `egress` allows; `host`: the
   * host's network as it is.
   */
  readonly mode: "none" | "bridge" | "host";
  /** Whether a destination outside may be reached; default: none may. */
  readonly egress?: (to: Endpoint, protocol: "tcp" | "udp") => boolean;
  /** Whether sockets of the host that lie in bind mounts can be connected to; default: no. */
  readonly hostSockets?: boolean;
  /** Interfaces beside `lo`, with the container's own addresses; default: docker's first in `bridge`. */
  readonly interfaces?: readonly Interface[];
}

/** The network of one container, as network_namespaces(7) means it. */
export class NetworkNamespace {
  readonly tcp: Ports<TcpSocket> = new Ports<TcpSocket>(false);
  readonly udp: Ports<UdpSocket> = new Ports<UdpSocket>(true);
  readonly interfaces: readonly Interface[];
  readonly mode: NetworkOptions["mode"];
  readonly #reactor: Reactor;
  readonly #names: UnixNames;
  readonly #egress: NonNullable<NetworkOptions["egress"]>;
  readonly #own: ReadonlySet<Ip>;

  constructor(reactor: Reactor, options: NetworkOptions) {
    this.#reactor = reactor;
    this.mode = options.mode;
    this.#names = new UnixNames(new RightsInFlight(reactor), options.hostSockets === true);
    this.#egress = options.egress ?? (() => false);
    const ownInterfaces = options.mode === "bridge" ? [BRIDGE_INTERFACE] : [];
    this.interfaces =
      options.mode === "host"
        ? hostInterfaces()
        : [LOOPBACK_INTERFACE, ...(options.interfaces ?? ownInterfaces)];
    this.#own = new Set(this.interfaces.flatMap(({ addresses }) => addresses.map(({ ip }) => ip)));
  }

  /** Whether an address is the container's own. */
  isLocal(ip: Ip): boolean {
    return isLoopback(ip) || this.#own.has(ip);
  }

  /** A destination with "no address" replaced by what it means: this very host. */
  concrete({ ip, port }: Endpoint): Endpoint {
    return { ip: ip === ANY4 ? LOOPBACK4 : ip === ANY6 ? LOOPBACK6 : ip, port };
  }

  /** Whether there is a way to a destination outside. */
  mayReach(to: Endpoint, protocol: "tcp" | "udp"): boolean {
    return this.mode === "bridge" && this.#egress(to, protocol);
  }

  /**
   * See socket(2). @param flags `O_NONBLOCK`.
   * @returns `EAFNOSUPPORT`, `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`, `EPERM`, or what the host answers.
   */
  socket(
    family: number,
    type: number,
    protocol: number,
    flags: number,
    owner: Owner,
  ): Socket | Errno {
    switch (family) {
      case AF_UNIX:
        return this.#unixSocket(type, protocol, flags, owner);
      case AF_INET:
      case AF_INET6:
        return this.#inetSocket(family, type, protocol, flags, owner);
      case AF_NETLINK:
        return type === SOCK_RAW || type === SOCK_DGRAM
          ? NetlinkSocket.create(this.#reactor, this, type, protocol, flags, owner)
          : ESOCKTNOSUPPORT;
      default:
        return EAFNOSUPPORT;
    }
  }

  /** See socketpair(2). @returns `EOPNOTSUPP` but for AF_UNIX. */
  pair(
    type: number,
    flags: number,
    owner: Owner,
    credentials: PeerCredentials,
  ): readonly [Socket, Socket] | Errno {
    const first = this.#unixSocket(type, 0, flags, owner);
    if (first instanceof Errno) return first;
    const second = this.#unixSocket(type, 0, flags, owner);
    if (second instanceof Errno) {
      first.close();
      return second;
    }
    const error =
      first instanceof UnixStream && second instanceof UnixStream
        ? first.joinWith(second, credentials)
        : first instanceof UnixDatagram && second instanceof UnixDatagram
          ? first.joinWith(second, credentials)
          : EINVAL;
    if (error === undefined) return [first, second];
    first.close();
    second.close();
    return error;
  }

  #unixSocket(
    type: number,
    protocol: number,
    flags: number,
    owner: Owner,
  ): UnixStream | UnixDatagram | Errno {
    if (protocol !== 0 && protocol !== AF_UNIX) return EPROTONOSUPPORT;
    switch (type) {
      case SOCK_STREAM:
      case SOCK_SEQPACKET:
        return new UnixStream(this.#reactor, this.#names, type, flags, owner);
      case SOCK_DGRAM:
      case SOCK_RAW:
        return UnixDatagram.create(this.#reactor, this.#names, flags, owner);
      default:
        return ESOCKTNOSUPPORT;
    }
  }

  #inetSocket(
    family: number,
    type: number,
    protocol: number,
    flags: number,
    owner: Owner,
  ): Socket | Errno {
    if (this.mode === "host") {
      return HostSocket.create(this.#reactor, { family, type, protocol }, flags, owner);
    }
    switch (type) {
      case SOCK_STREAM:
        if (protocol !== 0 && protocol !== IPPROTO_TCP) return EPROTONOSUPPORT;
        return new TcpSocket(this.#reactor, this, family, flags, owner);
      case SOCK_DGRAM:
        if (protocol !== 0 && protocol !== IPPROTO_UDP) return EPROTONOSUPPORT;
        return new UdpSocket(this.#reactor, this, family, flags, owner);
      case SOCK_RAW:
        return EPERM;
      default:
        return ESOCKTNOSUPPORT;
    }
  }
}
