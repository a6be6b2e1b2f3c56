/** The part of rtnetlink(7) that lists links, addresses and routes: what getifaddrs(3) and `ip` read. */
import {
  EAGAIN,
  EINVAL,
  ENODEV,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPROTONOSUPPORT,
  type Errno,
} from "../abi/errno.ts";
import { type Ip, isV4, v4Bytes } from "../abi/ip.ts";
import { AF_INET, AF_INET6, AF_NETLINK, MSG_PEEK, MSG_TRUNC } from "../abi/socket.ts";
import { i32, struct, u8, u16, u32 } from "../abi/struct.ts";
import type { Reactor } from "../host/reactor.ts";
import type { Owner } from "../vfs/anonymous.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../vfs/poll.ts";
import { IFF_LOOPBACK, type Interface } from "./interfaces.ts";
import { type IncomingMessage, type OutgoingMessage, Socket } from "./socket.ts";

const NETLINK_ROUTE = 0;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_MULTI = 2;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
/** Answers one socket keeps; a guest that never reads gets no more. */
const QUEUE_MAX = 64;
const WRITABLE = POLLOUT | POLLWRNORM;
const READABLE = POLLIN | POLLRDNORM;

const Header = struct({ len: u32, type: u16, flags: u16, seq: u32, pid: u32 });
const SockaddrNl = struct({ family: u16, pad: u16, pid: u32, groups: u32 });
const LinkInfo = struct({ family: u8, pad: u8, type: u16, index: i32, flags: u32, change: u32 });
const AddressInfo = struct({ family: u8, prefix: u8, flags: u8, scope: u8, index: u32 });
const RouteInfo = struct({
  family: u8,
  dstLen: u8,
  srcLen: u8,
  tos: u8,
  table: u8,
  protocol: u8,
  scope: u8,
  type: u8,
  flags: u32,
});

/** An attribute: length, type, value, padded to four bytes. */
function attribute(type: number, value: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil((4 + value.length) / 4) * 4);
  const view = new DataView(out.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  out.set(value, 4);
  return out;
}

function number32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value, true);
  return out;
}

/** A lifetime that does not end. */
const FOREVER = number32(0xffff_ffff);
const text = (value: string) => Buffer.from(`${value}\0`, "latin1");
const ipBytes = (ip: Ip) => (isV4(ip) ? v4Bytes(ip) : Buffer.from(ip, "latin1"));

function link(of: Interface): Uint8Array {
  const loopback = (of.flags & IFF_LOOPBACK) !== 0;
  const info = { family: 0, pad: 0, type: loopback ? 772 : 1, index: of.index, flags: of.flags };
  return Buffer.concat([
    LinkInfo.bytes({ ...info, change: 0 }),
    attribute(3, text(of.name)), // IFLA_IFNAME
    attribute(13, number32(1000)), // IFLA_TXQLEN
    attribute(27, number32(0)), // IFLA_GROUP
    attribute(16, Uint8Array.of(loopback ? 0 : 6)), // IFLA_OPERSTATE
    attribute(4, number32(of.mtu)), // IFLA_MTU
    attribute(6, text(loopback ? "noqueue" : "pfifo_fast")), // IFLA_QDISC
    attribute(1, of.mac), // IFLA_ADDRESS
    attribute(2, loopback ? of.mac : new Uint8Array(6).fill(255)), // IFLA_BROADCAST
  ]);
}

function address(of: Interface, entry: { readonly ip: Ip; readonly prefix: number }): Uint8Array {
  const loopback = (of.flags & IFF_LOOPBACK) !== 0;
  const RT_SCOPE_HOST = 254;
  const IFA_F_PERMANENT = 0x80;
  return Buffer.concat([
    AddressInfo.bytes({
      family: isV4(entry.ip) ? AF_INET : AF_INET6,
      prefix: entry.prefix,
      flags: IFA_F_PERMANENT,
      scope: loopback ? RT_SCOPE_HOST : 0,
      index: of.index,
    }),
    attribute(1, ipBytes(entry.ip)), // IFA_ADDRESS
    ...(isV4(entry.ip) ? [attribute(2, ipBytes(entry.ip)), attribute(3, text(of.name))] : []),
    attribute(8, number32(IFA_F_PERMANENT)), // IFA_FLAGS
    attribute(6, Buffer.concat([FOREVER, FOREVER, number32(0), number32(0)])), // IFA_CACHEINFO
  ]);
}

/** The routes of an interface: its own networks, and the default route if it has a gateway. */
function routes(of: Interface): Uint8Array[] {
  if ((of.flags & IFF_LOOPBACK) !== 0) return [];
  const RT_TABLE_MAIN = 254;
  const RT_SCOPE_LINK = 253;
  const base = { srcLen: 0, tos: 0, table: RT_TABLE_MAIN, type: 1, flags: 0 };
  const out: Uint8Array[] = [];
  if (of.gateway !== undefined) {
    out.push(
      Buffer.concat([
        RouteInfo.bytes({ ...base, family: AF_INET, dstLen: 0, protocol: 3, scope: 0 }),
        attribute(15, number32(RT_TABLE_MAIN)), // RTA_TABLE
        attribute(5, ipBytes(of.gateway)), // RTA_GATEWAY
        attribute(4, number32(of.index)), // RTA_OIF
      ]),
    );
  }
  for (const { ip, prefix } of of.addresses) {
    if (!isV4(ip)) continue;
    const network = v4Bytes(ip).map((byte, i) => {
      const bits = Math.min(Math.max(prefix - i * 8, 0), 8);
      return byte & (0xff << (8 - bits));
    });
    const shape = { family: AF_INET, dstLen: prefix, protocol: 2, scope: RT_SCOPE_LINK };
    out.push(
      Buffer.concat([
        RouteInfo.bytes({ ...base, ...shape }),
        attribute(15, number32(RT_TABLE_MAIN)),
        attribute(1, network), // RTA_DST
        attribute(7, ipBytes(ip)), // RTA_PREFSRC
        attribute(4, number32(of.index)),
      ]),
    );
  }
  return out;
}

/** What a dump of one kind consists of. */
const DUMPS: ReadonlyMap<
  number,
  {
    readonly type: number;
    readonly list: (interfaces: readonly Interface[], family: number) => Uint8Array[];
  }
> = new Map([
  [RTM_GETLINK, { type: RTM_NEWLINK, list: (all: readonly Interface[]) => all.map(link) }],
  [
    RTM_GETADDR,
    {
      type: RTM_NEWADDR,
      list: (all: readonly Interface[], family: number) =>
        all.flatMap((of) =>
          of.addresses
            .filter(({ ip }) => family === 0 || (family === AF_INET) === isV4(ip))
            .map((entry) => address(of, entry)),
        ),
    },
  ],
  [
    RTM_GETROUTE,
    {
      type: RTM_NEWROUTE,
      list: (all: readonly Interface[], family: number) =>
        family === AF_INET6 ? [] : all.flatMap(routes),
    },
  ],
]);

let lastPort = 0;

/** A NETLINK_ROUTE socket that can list, and change nothing. */
export class NetlinkSocket extends Socket {
  readonly family = AF_NETLINK;
  readonly #net: { interfaces(): readonly Interface[] };
  readonly #answers: Uint8Array[] = [];
  #port = 0;

  static create(
    reactor: Reactor,
    net: { interfaces(): readonly Interface[] },
    type: number,
    protocol: number,
    flags: number,
    owner: Owner,
  ): NetlinkSocket | Errno {
    if (protocol !== NETLINK_ROUTE) return EPROTONOSUPPORT;
    return new NetlinkSocket(reactor, net, type, flags, owner);
  }

  private constructor(
    reactor: Reactor,
    net: { interfaces(): readonly Interface[] },
    type: number,
    flags: number,
    owner: Owner,
  ) {
    super(reactor, type, NETLINK_ROUTE, flags, owner, WRITABLE);
    this.#net = net;
  }

  override bind(raw: Uint8Array): Errno | undefined {
    if (raw.length < SockaddrNl.size) return EINVAL;
    const { family, pid } = SockaddrNl.parse(raw);
    if (family !== AF_NETLINK) return EINVAL;
    this.#port = pid === 0 ? ++lastPort : pid;
    return undefined;
  }

  override connect(): undefined {
    if (this.#port === 0) this.#port = ++lastPort;
  }

  override send({ buffer }: OutgoingMessage): Transfer {
    const request = buffer.take(Math.min(buffer.length, 4096));
    if (request.length < Header.size) return EINVAL;
    if (this.#port === 0) this.#port = ++lastPort;
    this.#answer(request);
    return buffer.length;
  }

  #answer(request: Uint8Array): void {
    const header = Header.parse(request);
    const dump = DUMPS.get(header.type);
    if (header.type === RTM_GETLINK && (header.flags & NLM_F_DUMP) === 0) {
      this.#answerLink(header, request);
      return;
    }
    if (dump === undefined || (header.flags & NLM_F_DUMP) === 0) {
      const isGet = header.type >= RTM_NEWLINK && (header.type & 3) === 2;
      this.#refuse(header, request, isGet ? EOPNOTSUPP : EPERM);
      return;
    }
    const family = request[Header.size] ?? 0;
    const parts = dump
      .list(this.#net.interfaces(), family)
      .map((body) => this.#message(dump.type, NLM_F_MULTI, header.seq, body));
    if (parts.length > 0) this.#push(Buffer.concat(parts));
    this.#push(this.#message(NLMSG_DONE, NLM_F_MULTI, header.seq, number32(0)));
  }

  /** One link, asked for by its index or its name. */
  #answerLink(header: ReturnType<typeof Header.parse>, request: Uint8Array): void {
    const body = request.subarray(Header.size);
    const index = body.length < LinkInfo.size ? 0 : LinkInfo.parse(body).index;
    const rest = Buffer.from(body.subarray(LinkInfo.size)).toString("latin1");
    const found = this.#net
      .interfaces()
      .find(
        (each) =>
          each.index === index || (index === 0 && rest.slice(4).startsWith(`${each.name}\0`)),
      );
    if (found === undefined) this.#refuse(header, request, ENODEV);
    else this.#push(this.#message(RTM_NEWLINK, 0, header.seq, link(found)));
  }

  #refuse(header: ReturnType<typeof Header.parse>, request: Uint8Array, error: Errno): void {
    const body = Buffer.concat([number32(-error.number >>> 0), request.subarray(0, Header.size)]);
    this.#push(this.#message(NLMSG_ERROR, header.flags & NLM_F_ACK, header.seq, body));
  }

  #message(type: number, flags: number, seq: number, body: Uint8Array): Uint8Array {
    const out = new Uint8Array(Math.ceil((Header.size + body.length) / 4) * 4);
    out.set(Header.bytes({ len: Header.size + body.length, type, flags, seq, pid: this.#port }));
    out.set(body, Header.size);
    return out;
  }

  #push(answer: Uint8Array): void {
    if (this.#answers.length >= QUEUE_MAX) return;
    this.#answers.push(answer);
    this.readiness.setIdle(WRITABLE | READABLE, READABLE);
  }

  override receive(buffer: IoBuffer, flags: number): IncomingMessage | Errno {
    const [answer] = this.#answers;
    if (answer === undefined) return EAGAIN;
    buffer.put(answer.subarray(0, buffer.length));
    if ((flags & MSG_PEEK) === 0) {
      this.#answers.shift();
      if (this.#answers.length === 0) this.readiness.setIdle(WRITABLE, 0);
    }
    const cut = answer.length > buffer.length;
    return {
      count: flags & MSG_TRUNC ? answer.length : Math.min(answer.length, buffer.length),
      flags: cut ? MSG_TRUNC : 0,
      address: SockaddrNl.bytes({ family: AF_NETLINK, pad: 0, pid: 0, groups: 0 }),
    };
  }

  localAddress(): Uint8Array {
    return SockaddrNl.bytes({ family: AF_NETLINK, pad: 0, pid: this.#port, groups: 0 });
  }

  peerAddress(): Errno {
    return ENOTCONN;
  }

  protected override release(): void {
    this.readiness.close();
  }
}
