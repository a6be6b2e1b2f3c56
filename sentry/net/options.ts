/** Socket options that only have to be remembered, and those that the sentry itself honours. */
import { EDOM, EINVAL, ENOPROTOOPT, EPERM, Errno } from "../abi/errno.ts";
import {
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  SO_BROADCAST,
  SO_DEBUG,
  SO_DONTROUTE,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_MARK,
  SO_OOBINLINE,
  SO_PASSCRED,
  SO_PRIORITY,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVLOWAT,
  SO_RCVTIMEO,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_SNDTIMEO,
  SO_TIMESTAMP,
  SOL_NETLINK,
  SOL_RAW,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { Timeval } from "../abi/structs.ts";

/** How an option is kept: an `int` (`flag`: as 0 or 1), or so many bytes. */
type Kind = "int" | "flag" | number;

/** Every option that can be set, with what it is before. Absent ones answer `ENOPROTOOPT`. */
const SETTABLE: ReadonlyMap<string, { readonly kind: Kind; readonly initial: number }> = new Map(
  (
    [
      [SOL_SOCKET, SO_DEBUG, "flag", 0],
      [SOL_SOCKET, SO_REUSEADDR, "flag", 0],
      [SOL_SOCKET, SO_DONTROUTE, "flag", 0],
      [SOL_SOCKET, SO_BROADCAST, "flag", 0],
      [SOL_SOCKET, SO_SNDBUF, "int", 212_992],
      [SOL_SOCKET, SO_RCVBUF, "int", 212_992],
      [SOL_SOCKET, SO_KEEPALIVE, "flag", 0],
      [SOL_SOCKET, SO_OOBINLINE, "flag", 0],
      [SOL_SOCKET, SO_PRIORITY, "int", 0],
      [SOL_SOCKET, SO_LINGER, 8, 0],
      [SOL_SOCKET, SO_REUSEPORT, "flag", 0],
      [SOL_SOCKET, SO_PASSCRED, "flag", 0],
      [SOL_SOCKET, SO_RCVLOWAT, "int", 1],
      [SOL_SOCKET, SO_RCVTIMEO, 16, 0],
      [SOL_SOCKET, SO_SNDTIMEO, 16, 0],
      [SOL_SOCKET, SO_TIMESTAMP, "flag", 0],
      [IPPROTO_TCP, 1, "flag", 0], // TCP_NODELAY
      [IPPROTO_TCP, 2, "int", 32_741], // TCP_MAXSEG
      [IPPROTO_TCP, 3, "flag", 0], // TCP_CORK
      [IPPROTO_TCP, 4, "int", 7200], // TCP_KEEPIDLE
      [IPPROTO_TCP, 5, "int", 75], // TCP_KEEPINTVL
      [IPPROTO_TCP, 6, "int", 9], // TCP_KEEPCNT
      [IPPROTO_TCP, 7, "int", 6], // TCP_SYNCNT
      [IPPROTO_TCP, 8, "int", 60], // TCP_LINGER2
      [IPPROTO_TCP, 9, "int", 0], // TCP_DEFER_ACCEPT
      [IPPROTO_TCP, 10, "int", 0], // TCP_WINDOW_CLAMP
      [IPPROTO_TCP, 12, "flag", 1], // TCP_QUICKACK
      [IPPROTO_TCP, 18, "int", 0], // TCP_USER_TIMEOUT
      [IPPROTO_TCP, 23, "int", 0], // TCP_FASTOPEN
      [IPPROTO_TCP, 25, "int", 0x7fffffff], // TCP_NOTSENT_LOWAT
      [IPPROTO_TCP, 30, "flag", 0], // TCP_FASTOPEN_CONNECT
      [IPPROTO_UDP, 1, "flag", 0], // UDP_CORK
      [IPPROTO_IP, 1, "int", 0], // IP_TOS
      [IPPROTO_IP, 2, "int", 64], // IP_TTL
      [IPPROTO_IP, 7, "flag", 0], // IP_RETOPTS
      [IPPROTO_IP, 8, "flag", 0], // IP_PKTINFO
      [IPPROTO_IP, 10, "int", 1], // IP_MTU_DISCOVER
      [IPPROTO_IP, 11, "flag", 0], // IP_RECVERR
      [IPPROTO_IP, 12, "flag", 0], // IP_RECVTTL
      [IPPROTO_IP, 13, "flag", 0], // IP_RECVTOS
      [IPPROTO_IP, 15, "flag", 0], // IP_FREEBIND
      [IPPROTO_IP, 24, "flag", 0], // IP_BIND_ADDRESS_NO_PORT
      [IPPROTO_IP, 32, "int", 0], // IP_MULTICAST_IF: its address
      [IPPROTO_IP, 33, "int", 1], // IP_MULTICAST_TTL
      [IPPROTO_IP, 34, "flag", 1], // IP_MULTICAST_LOOP
      [IPPROTO_IP, 49, "flag", 1], // IP_MULTICAST_ALL
      [IPPROTO_IPV6, 16, "int", 64], // IPV6_UNICAST_HOPS
      [IPPROTO_IPV6, 17, "int", 0], // IPV6_MULTICAST_IF
      [IPPROTO_IPV6, 18, "int", 1], // IPV6_MULTICAST_HOPS
      [IPPROTO_IPV6, 19, "flag", 1], // IPV6_MULTICAST_LOOP
      [IPPROTO_IPV6, 23, "int", 1], // IPV6_MTU_DISCOVER
      [IPPROTO_IPV6, 25, "flag", 0], // IPV6_RECVERR
      [IPPROTO_IPV6, IPV6_V6ONLY, "flag", 0],
      [IPPROTO_IPV6, 49, "flag", 0], // IPV6_RECVPKTINFO
      [IPPROTO_IPV6, 51, "flag", 0], // IPV6_RECVHOPLIMIT
      [IPPROTO_IPV6, 66, "flag", 0], // IPV6_RECVTCLASS
      [IPPROTO_IPV6, 67, "int", 0], // IPV6_TCLASS
      [SOL_RAW, 1, "int", 0], // ICMP_FILTER
      [SOL_NETLINK, 1, "int", 0], // NETLINK_ADD_MEMBERSHIP
      [SOL_NETLINK, 3, "flag", 0], // NETLINK_PKTINFO
      [SOL_NETLINK, 10, "flag", 0], // NETLINK_CAP_ACK
      [SOL_NETLINK, 11, "flag", 0], // NETLINK_EXT_ACK
      [SOL_NETLINK, 12, "flag", 0], // NETLINK_GET_STRICT_CHK
    ] as const
  ).map(([level, name, kind, initial]) => [`${level}:${name}`, { kind, initial }]),
);

const PRIVILEGED: ReadonlySet<string> = new Set([
  `${SOL_SOCKET}:${SO_SNDBUFFORCE}`,
  `${SOL_SOCKET}:${SO_RCVBUFFORCE}`,
  `${SOL_SOCKET}:${SO_MARK}`,
]);

/** Bytes of an `int`. */
export function intBytes(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setInt32(0, value, true);
  return out;
}

function toInt(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getInt32(0, true);
}

const NS_PER_SECOND = 1_000_000_000n;

/** The options of one socket. */
export class SocketOptions {
  readonly #values = new Map<string, Uint8Array>();
  #readTimeoutNs: bigint | undefined;
  #writeTimeoutNs: bigint | undefined;

  /** SO_RCVTIMEO; undefined for none. */
  get readTimeoutNs(): bigint | undefined {
    return this.#readTimeoutNs;
  }

  /** SO_SNDTIMEO; undefined for none. */
  get writeTimeoutNs(): bigint | undefined {
    return this.#writeTimeoutNs;
  }

  /** An `int` option; 0 for an unknown one. */
  int(level: number, name: number): number {
    const key = `${level}:${name}`;
    const value = this.#values.get(key);
    return value === undefined ? (SETTABLE.get(key)?.initial ?? 0) : toInt(value);
  }

  /** See setsockopt(2). @returns `ENOPROTOOPT`, `EINVAL` for a short value, `EPERM`, `EDOM`. */
  set(level: number, name: number, value: Uint8Array): Errno | undefined {
    const key = `${level}:${name}`;
    if (PRIVILEGED.has(key)) return EPERM;
    const option = SETTABLE.get(key);
    if (option === undefined) return ENOPROTOOPT;
    const size = typeof option.kind === "number" ? option.kind : 4;
    if (value.length < size) return EINVAL;
    const kept = value.slice(0, size);
    if (level === SOL_SOCKET && (name === SO_RCVTIMEO || name === SO_SNDTIMEO)) {
      const timeout = timeoutOf(kept);
      if (timeout instanceof Errno) return timeout;
      if (name === SO_RCVTIMEO) this.#readTimeoutNs = timeout;
      else this.#writeTimeoutNs = timeout;
    }
    this.#values.set(key, option.kind === "flag" ? intBytes(toInt(kept) === 0 ? 0 : 1) : kept);
    return undefined;
  }

  /** What was set, or the default. @returns `ENOPROTOOPT`. */
  get(level: number, name: number): Uint8Array | Errno {
    const key = `${level}:${name}`;
    const option = SETTABLE.get(key);
    if (option === undefined) return ENOPROTOOPT;
    const value = this.#values.get(key);
    if (value !== undefined) {
      // The kernel doubles what was asked for, for its own book-keeping. See socket(7).
      const doubled = level === SOL_SOCKET && (name === SO_SNDBUF || name === SO_RCVBUF);
      return doubled ? intBytes(Math.min(toInt(value), 212_992) * 2) : value;
    }
    return typeof option.kind === "number" ? new Uint8Array(option.kind) : intBytes(option.initial);
  }

  /** Every option that was set, for a host socket that is made later. */
  *all(): Generator<{ readonly level: number; readonly name: number; readonly value: Uint8Array }> {
    for (const [key, value] of this.#values) {
      const [level, name] = key.split(":").map(Number);
      if (level !== undefined && name !== undefined) yield { level, name, value };
    }
  }
}

function timeoutOf(value: Uint8Array): bigint | undefined | Errno {
  const { sec, usec } = Timeval.parse(value);
  if (usec < 0 || usec >= 1_000_000) return EDOM;
  if (sec < 0 || (sec === 0 && usec === 0)) return undefined;
  return BigInt(sec) * NS_PER_SECOND + BigInt(usec) * 1000n;
}
