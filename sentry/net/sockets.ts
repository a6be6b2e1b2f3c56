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
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../abi/socket.ts";
import type { SocketInfo } from "../fs/proc/network.ts";
import type { Reactor } from "../host/reactor.ts";
import type { Owner } from "../vfs/anonymous.ts";
import { parseEndpoint } from "./address.ts";
import { HostSocket } from "./host-inet.ts";
import { IcmpSocket } from "./icmp.ts";
import { anyAddress } from "./inet.ts";
import type { NetworkNamespace } from "./namespace.ts";
import { NetlinkSocket } from "./netlink.ts";
import { RightsInFlight } from "./rights.ts";
import type { PeerCredentials, Socket } from "./socket.ts";
import { TcpSocket } from "./tcp.ts";
import { UdpSocket } from "./udp.ts";
import { UnixDatagram, UnixNames, UnixStream } from "./unix.ts";

/** The sockets of one container: what socket(2) and socketpair(2) make. */
export class Sockets {
  readonly #reactor: Reactor;
  readonly #net: NetworkNamespace;
  readonly #names: UnixNames;

  /** @param hostSockets whether sockets of the host in bind mounts can be connected to. */
  constructor(reactor: Reactor, net: NetworkNamespace, hostSockets: boolean) {
    this.#reactor = reactor;
    this.#net = net;
    this.#names = new UnixNames(new RightsInFlight(reactor), hostSockets);
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
          ? NetlinkSocket.create(this.#reactor, this.#net, type, protocol, flags, owner)
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
    if (this.#net.mode === "host") {
      return HostSocket.create(this.#reactor, { family, type, protocol }, flags, owner);
    }
    switch (type) {
      case SOCK_STREAM:
        if (protocol !== 0 && protocol !== IPPROTO_TCP) return EPROTONOSUPPORT;
        return new TcpSocket(this.#reactor, this.#net, family, flags, owner);
      case SOCK_DGRAM:
        if (protocol === IPPROTO_ICMP && family === AF_INET) {
          return IcmpSocket.create(this.#reactor, this.#net, type, flags, owner);
        }
        if (protocol !== 0 && protocol !== IPPROTO_UDP) return EPROTONOSUPPORT;
        return new UdpSocket(this.#reactor, this.#net, family, flags, owner);
      case SOCK_RAW:
        // Docker leaves CAP_NET_RAW to root.
        return protocol === IPPROTO_ICMP && family === AF_INET && owner.uid === 0
          ? IcmpSocket.create(this.#reactor, this.#net, type, flags, owner)
          : EPERM;
      default:
        return ESOCKTNOSUPPORT;
    }
  }
}

/** What `/proc/net` tells of a socket. */
export function describeSocket(socket: TcpSocket | UdpSocket): SocketInfo {
  const nowhere = { ip: anyAddress(socket.family), port: 0 };
  const endpoint = (address: Uint8Array | Errno) => {
    const parsed = address instanceof Errno ? address : parseEndpoint(socket.family, address);
    return parsed instanceof Errno ? nowhere : parsed;
  };
  const { uid, ino } = socket.stat();
  return {
    isV6: socket.family === AF_INET6,
    local: endpoint(socket.localAddress()),
    remote: endpoint(socket.peerAddress()),
    state: socket.state,
    uid,
    ino,
  };
}
