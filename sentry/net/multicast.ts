/** Multicast groups of one container: who has joined which. See ip(7), IP_ADD_MEMBERSHIP, and ipv6(7). */
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, type Errno } from "../abi/errno.ts";
import { type Endpoint, type Ip, ipOfBytes, ipv4, isV4, v4Bytes } from "../abi/ip.ts";
import { IPPROTO_IP, IPPROTO_IPV6 } from "../abi/socket.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";

const IP_ADD_MEMBERSHIP = 35;
const IP_DROP_MEMBERSHIP = 36;
const IPV6_ADD_MEMBERSHIP = 20;
const IPV6_DROP_MEMBERSHIP = 21;
/** Groups one socket may be in: `net.ipv4.igmp_max_memberships`, generously. */
const MEMBERSHIPS_MAX = 64;
const V4 = 4;
const V6 = 16;

/** A socket as its groups know it. */
export interface GroupMember {
  readonly localPort: number;
  accepts(source: Endpoint): boolean;
  deliver(source: Endpoint, payload: IoBuffer): void;
}

/** Whether datagrams to an address go to a group. */
export function isMulticast(ip: Ip): boolean {
  if (!isV4(ip)) return ip.charCodeAt(0) === 0xff;
  const [first = 0] = v4Bytes(ip);
  return first >= 224 && first < 240;
}

/** What a setsockopt(2) asks of groups; undefined when it is about something else. */
export function membershipOf(
  level: number,
  name: number,
  value: Uint8Array,
): { readonly joins: boolean; readonly group: Ip } | Errno | undefined {
  const v4 = level === IPPROTO_IP && (name === IP_ADD_MEMBERSHIP || name === IP_DROP_MEMBERSHIP);
  const v6 =
    level === IPPROTO_IPV6 && (name === IPV6_ADD_MEMBERSHIP || name === IPV6_DROP_MEMBERSHIP);
  if (!v4 && !v6) return undefined;
  // The interface that follows the group is whichever there is.
  if (value.length < (v4 ? 2 * V4 : V6 + 4)) return EINVAL;
  const [a = 0, b = 0, c = 0, d = 0] = value;
  const group = v4 ? ipv4(a, b, c, d) : ipOfBytes(value.subarray(0, V6));
  if (!isMulticast(group) || isV4(group) !== v4) return EINVAL;
  return { joins: name === (v4 ? IP_ADD_MEMBERSHIP : IPV6_ADD_MEMBERSHIP), group };
}

/** The groups of one container. They reach no further: nothing carries them to other containers. */
export class MulticastGroups {
  readonly #members = new Map<Ip, Set<GroupMember>>();

  /** @returns `EADDRINUSE` for a member, `ENOBUFS` for one of too many groups. */
  join(group: Ip, member: GroupMember): Errno | undefined {
    let joined = 0;
    for (const members of this.#members.values()) if (members.has(member)) joined++;
    if (joined >= MEMBERSHIPS_MAX) return ENOBUFS;
    const members = this.#members.get(group) ?? new Set();
    if (members.has(member)) return EADDRINUSE;
    this.#members.set(group, members.add(member));
    return undefined;
  }

  /** @returns `EADDRNOTAVAIL` for one that is no member. */
  leave(group: Ip, member: GroupMember): Errno | undefined {
    const members = this.#members.get(group);
    if (members?.delete(member) !== true) return EADDRNOTAVAIL;
    if (members.size === 0) this.#members.delete(group);
    return undefined;
  }

  /** A socket is closed. */
  leaveAll(member: GroupMember): void {
    for (const group of [...this.#members.keys()]) this.leave(group, member);
  }

  deliver(source: Endpoint, to: Endpoint, payload: IoBuffer): void {
    for (const member of this.#members.get(to.ip) ?? []) {
      if (member.localPort === to.port && member.accepts(source)) member.deliver(source, payload);
    }
  }
}
