/** The network interfaces a container sees, and the ioctls that ask about them. See netdevice(7). */
import { networkInterfaces } from "node:os";
import { EADDRNOTAVAIL, ENODEV, ENOTTY, EPERM, Errno } from "../abi/errno.ts";
import { type Ip, ipv4, isV4, LOOPBACK4, LOOPBACK6 } from "../abi/ip.ts";
import { AF_INET } from "../abi/socket.ts";
import type { IoctlContext } from "../vfs/open-file.ts";
import { formatEndpoint } from "./address.ts";
import type { PeerNetwork } from "./peer-network.ts";

export const IFF_UP = 0x1;
export const IFF_BROADCAST = 0x2;
export const IFF_LOOPBACK = 0x8;
export const IFF_RUNNING = 0x40;
export const IFF_MULTICAST = 0x1000;
export const IFF_LOWER_UP = 0x10000;

/** One interface. */
export interface Interface {
  readonly index: number;
  readonly name: string;
  /** IFF_* bits. */
  readonly flags: number;
  readonly mtu: number;
  /** Hardware address, 6 bytes. */
  readonly mac: Uint8Array;
  readonly addresses: readonly { readonly ip: Ip; readonly prefix: number }[];
  /** The default route's gateway, if the interface has it. */
  readonly gateway?: Ip | undefined;
}

export const LOOPBACK_INTERFACE: Interface = {
  index: 1,
  name: "lo",
  flags: IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_LOWER_UP,
  mtu: 65_536,
  mac: new Uint8Array(6),
  addresses: [
    { ip: LOOPBACK4, prefix: 8 },
    { ip: LOOPBACK6, prefix: 128 },
  ],
};

/** What a container on docker's default bridge has. */
export const BRIDGE_INTERFACE: Interface = {
  index: 2,
  name: "eth0",
  flags: IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST | IFF_LOWER_UP,
  mtu: 1500,
  mac: Uint8Array.of(0x02, 0x42, 0xac, 0x11, 0x00, 0x02),
  addresses: [{ ip: ipv4(172, 17, 0, 2), prefix: 16 }],
  gateway: ipv4(172, 17, 0, 1),
};

/** What the container has of a network: eth0 and so on. @param isExit whether it has the default route. */
export function attachedInterface(index: number, network: PeerNetwork, isExit: boolean): Interface {
  const { attachment, addresses, gateways } = network;
  const gateway = isExit ? gateways.find(isV4) : undefined;
  return {
    ...BRIDGE_INTERFACE,
    index: index + 2,
    name: `eth${index}`,
    mac: Buffer.from(attachment.member.mac.replaceAll(":", ""), "hex"),
    addresses,
    gateway,
  };
}

/** The host's own interfaces, for containers that share its network. */
export function hostInterfaces(): Interface[] {
  return Object.entries(networkInterfaces()).map(([name, entries = []], i) => {
    const internal = entries.some((entry) => entry.internal);
    const state = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
    return {
      index: i + 1,
      name,
      flags: state | (internal ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST),
      mtu: internal ? LOOPBACK_INTERFACE.mtu : 1500,
      mac: Buffer.from((entries[0]?.mac ?? "").replaceAll(":", "").padStart(12, "0"), "hex"),
      addresses: entries.flatMap(({ family, address, cidr }) =>
        family === "IPv4"
          ? [
              {
                ip: ipv4(...(address.split(".").map(Number) as [number, number, number, number])),
                prefix: Number(cidr?.split("/")[1] ?? 32),
              },
            ]
          : [],
      ),
    };
  });
}

const SIOCGIFNAME = 0x8910;
const SIOCGIFCONF = 0x8912;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFADDR = 0x8915;
const SIOCGIFNETMASK = 0x891b;
const SIOCGIFMETRIC = 0x891d;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFTXQLEN = 0x8942;
/** Requests that change something start here with even numbers; all need CAP_NET_ADMIN. */
const SETTERS: ReadonlySet<number> = new Set([0x8914, 0x8916, 0x891a, 0x891c, 0x8922, 0x8924]);
const IFREQ_SIZE = 40;
const NAME_SIZE = 16;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

const firstV4 = (of: Interface) => of.addresses.find(({ ip }) => isV4(ip));

/** The netmask of a prefix as an address. */
function netmask(prefix: number): Ip {
  const bits = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
  const bytes = [bits >>> 24, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255];
  return LOOPBACK4.slice(0, 12) + String.fromCharCode(...bytes);
}

type Answer = (of: Interface, view: DataView, bytes: Uint8Array) => Errno | undefined;

function putAddress(bytes: Uint8Array, ip: Ip | undefined): Errno | undefined {
  if (ip === undefined) return EADDRNOTAVAIL;
  bytes.set(formatEndpoint(AF_INET, { ip, port: 0 }), NAME_SIZE);
  return undefined;
}

function putInt(view: DataView, value: number): undefined {
  view.setInt32(NAME_SIZE, value, true);
}

/** What each request stores behind the name in `struct ifreq`. */
const ANSWERS: ReadonlyMap<number, Answer> = new Map<number, Answer>([
  [
    SIOCGIFFLAGS,
    ({ flags }, view) => {
      view.setUint16(NAME_SIZE, flags & 0xffff, true);
      return undefined;
    },
  ],
  [SIOCGIFADDR, (of, _view, bytes) => putAddress(bytes, firstV4(of)?.ip)],
  [SIOCGIFNETMASK, (of, _view, bytes) => putAddress(bytes, netmask(firstV4(of)?.prefix ?? 0))],
  [SIOCGIFMTU, ({ mtu }, view) => putInt(view, mtu)],
  [SIOCGIFINDEX, ({ index }, view) => putInt(view, index)],
  [SIOCGIFMETRIC, (_of, view) => putInt(view, 0)],
  [SIOCGIFTXQLEN, (_of, view) => putInt(view, 1000)],
  [
    SIOCGIFHWADDR,
    ({ flags, mac }, view, bytes) => {
      view.setUint16(NAME_SIZE, flags & IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER, true);
      bytes.set(mac, NAME_SIZE + 2);
      return undefined;
    },
  ],
]);

/** Answers an interface ioctl. @returns `ENOTTY` for a request that is none. */
export function interfaceIoctl(
  interfaces: readonly Interface[],
  request: number,
  context: IoctlContext,
): number | Errno {
  if (SETTERS.has(request)) return EPERM;
  if (request === SIOCGIFCONF) return listInterfaces(interfaces, context);
  const answer = ANSWERS.get(request);
  if (answer === undefined && request !== SIOCGIFNAME) return ENOTTY;
  const raw = context.copyIn(IFREQ_SIZE);
  if (raw instanceof Errno) return raw;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (answer === undefined) {
    const found = interfaces.find(({ index }) => index === view.getInt32(NAME_SIZE, true));
    if (found === undefined) return ENODEV;
    raw.fill(0, 0, NAME_SIZE);
    raw.set(Buffer.from(found.name), 0);
    return context.copyOut(raw) ?? 0;
  }
  const name = Buffer.from(raw.subarray(0, NAME_SIZE)).toString("latin1").split("\0")[0];
  const found = interfaces.find((each) => each.name === name);
  if (found === undefined) return ENODEV;
  raw.fill(0, NAME_SIZE);
  return answer(found, view, raw) ?? context.copyOut(raw) ?? 0;
}

/** `struct ifconf`: a length and a pointer, behind which the answer goes. */
function listInterfaces(interfaces: readonly Interface[], context: IoctlContext): number | Errno {
  const raw = context.copyIn(16);
  if (raw instanceof Errno) return raw;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const room = view.getInt32(0, true);
  const pointer = Number(view.getBigUint64(8, true));
  const entries: Uint8Array[] = [];
  for (const each of interfaces) {
    const address = firstV4(each);
    if (address === undefined) continue;
    const entry = new Uint8Array(IFREQ_SIZE);
    entry.set(Buffer.from(each.name));
    putAddress(entry, address.ip);
    entries.push(entry);
  }
  const fitting = pointer === 0 ? entries : entries.slice(0, Math.floor(room / IFREQ_SIZE));
  if (pointer !== 0 && fitting.length > 0) {
    const error = context.copyOutTo(pointer, Buffer.concat(fitting));
    if (error !== undefined) return error;
  }
  view.setInt32(0, fitting.length * IFREQ_SIZE, true);
  return context.copyOut(raw) ?? 0;
}
