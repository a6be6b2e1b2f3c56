/** `/proc/net` and `/sys/class/net`: interfaces, routes and bound sockets. See proc_pid_net(5). */
import type { ByteString } from "../../abi/bytes.ts";
import { ENOENT, type Errno } from "../../abi/errno.ts";
import { direntType, S_IFDIR } from "../../abi/file.ts";
import { type Endpoint, type Ip, ipBytes, isV4, Subnet } from "../../abi/ip.ts";
import type { DirectoryEntry, Inode } from "../../vfs/inode.ts";
import { FixedDirectory, TextNode, VirtualDirectory, type VirtualFs } from "../virtual/nodes.ts";

/** What the network of a container is like now. */
export interface NetworkInfo {
  interfaces(): readonly InterfaceInfo[];
  /** Bound sockets; accepted connections are not among them. */
  sockets(protocol: "tcp" | "udp"): readonly SocketInfo[];
}

export interface InterfaceInfo {
  readonly index: number;
  readonly name: string;
  /** IFF_* bits. */
  readonly flags: number;
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly addresses: readonly { readonly ip: Ip; readonly prefix: number }[];
  readonly gateway?: Ip | undefined;
}

export interface SocketInfo {
  readonly isV6: boolean;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** As the kernel numbers the states of TCP. */
  readonly state: number;
  readonly uid: number;
  readonly ino: number;
}

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const NONE: NetworkInfo = { interfaces: () => [], sockets: () => [] };

const hex = (value: number, digits: number) =>
  value.toString(16).toUpperCase().padStart(digits, "0");

/** The bytes as the kernel prints them: words in the order of the host. */
function words(bytes: Uint8Array): string {
  const view = Buffer.from(bytes);
  return Array.from({ length: bytes.length / 4 }, (_, i) => hex(view.readUInt32LE(i * 4), 8)).join(
    "",
  );
}

function addressText({ ip, port }: Endpoint, isV6: boolean): string {
  const bytes = isV6 ? Buffer.from(ip, "latin1") : ipBytes(ip);
  return `${words(bytes)}:${hex(port, 4)}`;
}

function socketTable(sockets: readonly SocketInfo[]): ByteString {
  const head =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  return sockets.reduce((text, { isV6, local, remote, state, uid, ino }, i) => {
    const line =
      `${String(i).padStart(4)}: ${addressText(local, isV6)} ${addressText(remote, isV6)} ` +
      `${hex(state, 2)} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)} ` +
      `       0 ${ino} 1 0000000000000000 100 0 0 10 0`;
    return `${text}${line.padEnd(149)}\n`;
  }, head);
}

function devices(interfaces: readonly InterfaceInfo[]): ByteString {
  const zeros = " ".repeat(7) + ["0", "0", "0", "0", "0", "0", "0", "0"].join("    ");
  return interfaces.reduce(
    (text, { name }) => `${text}${name.padStart(6)}: ${zeros}${zeros}\n`,
    "Inter-|   Receive                                                |  Transmit\n" +
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo " +
      "colls carrier compressed\n",
  );
}

const RTF_UP = 1;
const RTF_GATEWAY = 2;

function routes(interfaces: readonly InterfaceInfo[]): ByteString {
  const line = (name: string, to: Uint8Array, via: Uint8Array, flags: number, mask: number) => {
    const maskBytes = Buffer.alloc(4);
    maskBytes.writeUInt32BE(mask);
    const fields = [words(to), words(via), hex(flags, 4), 0, 0, 0, words(maskBytes), 0, 0, 0];
    return `${[name, ...fields].join("\t").padEnd(127)}\n`;
  };
  const nowhere = new Uint8Array(4);
  const lines = interfaces.flatMap(({ name, flags, addresses, gateway }) => {
    if ((flags & IFF_LOOPBACK) !== 0) return [];
    const exit =
      gateway === undefined || !isV4(gateway)
        ? []
        : [line(name, nowhere, ipBytes(gateway), RTF_UP | RTF_GATEWAY, 0)];
    const own = addresses
      .filter(({ ip }) => isV4(ip))
      .map(({ ip, prefix }) => {
        const mask = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
        return line(name, ipBytes(new Subnet(ip, prefix).network), nowhere, RTF_UP, mask);
      });
    return [...exit, ...own];
  });
  const head =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
  return `${head.padEnd(127)}\n${lines.join("")}`;
}

function addresses6(interfaces: readonly InterfaceInfo[]): ByteString {
  return interfaces
    .flatMap(({ index, name, flags, addresses }) =>
      addresses
        .filter(({ ip }) => !isV4(ip))
        .map(({ ip, prefix }) => {
          const scope = (flags & IFF_LOOPBACK) !== 0 ? 0x10 : 0;
          const fields = [hex(index, 2), hex(prefix, 2), hex(scope, 2), "80"].join(" ");
          return `${Buffer.from(ip, "latin1").toString("hex")} ${fields} ${name.padStart(8)}\n`;
        }),
    )
    .join("");
}

/** `/proc/PID/net`. */
export function networkDirectory(fs: VirtualFs, info: NetworkInfo = NONE): FixedDirectory {
  const directory = new FixedDirectory(fs);
  const text = (name: string, read: () => ByteString) =>
    directory.add(name, new TextNode(fs, { read }));
  for (const protocol of ["tcp", "udp"] as const) {
    const of = (isV6: boolean) => info.sockets(protocol).filter((each) => each.isV6 === isV6);
    text(protocol, () => socketTable(of(false)));
    text(`${protocol}6`, () => socketTable(of(true)));
  }
  text("unix", () => "Num       RefCount Protocol Flags    Type St Inode Path\n");
  text("dev", () => devices(info.interfaces()));
  text("route", () => routes(info.interfaces()));
  text("if_inet6", () => addresses6(info.interfaces()));
  text(
    "arp",
    () => "IP address       HW type     Flags       HW address            Mask     Device\n",
  );
  return directory;
}

/** `/sys/class/net`: a directory for each interface there is now. */
export class InterfacesDirectory extends VirtualDirectory {
  readonly #info: NetworkInfo;
  readonly #known = new Map<string, FixedDirectory>();

  constructor(fs: VirtualFs, info: NetworkInfo = NONE) {
    super(fs);
    this.#info = info;
  }

  override lookup(name: ByteString): Inode | Errno {
    const found = this.#info.interfaces().find((each) => each.name === name);
    if (found === undefined) return ENOENT;
    return this.#directory(found);
  }

  #directory({ name }: InterfaceInfo): FixedDirectory {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const directory = new FixedDirectory(this.fs);
    this.#known.set(name, directory);
    const text = (file: string, say: (of: InterfaceInfo) => string | number) =>
      directory.addText(file, {
        read: () => {
          const now = this.#info.interfaces().find((each) => each.name === name);
          return now === undefined ? ENOENT : `${say(now)}\n`;
        },
      });
    const colons = (bytes: Uint8Array) =>
      Buffer.from(bytes)
        .toString("hex")
        .replace(/..(?!$)/g, "$&:");
    text("address", ({ mac }) => colons(mac));
    text("addr_len", () => 6);
    text("broadcast", ({ mac, flags }) =>
      colons(flags & IFF_LOOPBACK ? mac : new Uint8Array(6).fill(255)),
    );
    text("carrier", ({ flags }) => flags & IFF_UP);
    text("flags", ({ flags }) => `0x${(flags & 0xffff).toString(16)}`);
    text("ifindex", ({ index }) => index);
    text("iflink", ({ index }) => index);
    text("mtu", ({ mtu }) => mtu);
    text("operstate", ({ flags }) => (flags & IFF_LOOPBACK ? "unknown" : "up"));
    text("tx_queue_len", () => 1000);
    text("type", ({ flags }) => (flags & IFF_LOOPBACK ? 772 : 1));
    for (const counter of ["bytes", "packets", "errors", "dropped"]) {
      text(`statistics/rx_${counter}`, () => 0);
      text(`statistics/tx_${counter}`, () => 0);
    }
    return directory;
  }

  override entries(): DirectoryEntry[] {
    const type = direntType(S_IFDIR);
    return this.#info
      .interfaces()
      .map((each) => ({ name: each.name, ino: this.#directory(each).ino, type }));
  }
}
