import type { ByteString } from "../abi/bytes.ts";
import { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, Errno } from "../abi/errno.ts";
import {
  ANY4,
  ANY6,
  type Endpoint,
  type Ip,
  isLoopback,
  isV4,
  LOOPBACK4,
  LOOPBACK6,
  Subnet,
} from "../abi/ip.ts";
import type { NetworkInfo, SocketInfo } from "../fs/proc/network.ts";
import { close } from "../host/io.ts";
import type { Reactor } from "../host/reactor.ts";
import type { NetworkAttachment, PublishSpec, TransportProtocol } from "../spec.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import { HOST_NAME } from "./inet.ts";
import {
  attachedInterface,
  BRIDGE_INTERFACE,
  hostInterfaces,
  type Interface,
  LOOPBACK_INTERFACE,
} from "./interfaces.ts";
import { MulticastGroups } from "./multicast.ts";
import { type Carrier, PeerNetwork, type PeerReceiver } from "./peer-network.ts";
import { Ports } from "./ports.ts";
import { PublishedPorts } from "./published.ts";
import { isNameServer, Resolver, type ResolverOptions } from "./resolver.ts";
import { SharedNamespace, type SharedWith } from "./shared-namespace.ts";
import { describeSocket, Sockets } from "./sockets.ts";
import { TcpSocket } from "./tcp.ts";
import { Traffic } from "./traffic.ts";
import { UdpSocket } from "./udp.ts";

/** Files of /etc by name. */
export type EtcFiles = ReadonlyMap<ByteString, ByteString>;

/** {@link Joined} on its way. */
interface SharedState {
  readonly interfaces: readonly (Omit<Interface, "mac"> & { readonly mac: string })[];
  readonly gateway: Ip | undefined;
  readonly hasExit: boolean;
  readonly subnets: readonly string[];
  readonly etc: readonly (readonly [ByteString, ByteString])[];
}

/** Which ways out of the container's own network there are. */
export interface NetworkOptions {
  /**
   * `none`: loopback only; `bridge`: addresses of its own, and outside what `egress` allows; `host`: the
   * host's network as it is.
   */
  readonly mode: "none" | "bridge" | "host";
  /** Whether a destination outside may be reached; default: none may. */
  readonly egress?: (to: Endpoint, protocol: TransportProtocol | "icmp", alias?: string) => boolean;
  /** Whether sockets of the host that lie in bind mounts can be connected to; default: no. */
  readonly hostSockets?: boolean;
  /** The networks it is in; default in `bridge`: docker's first address, and nobody else there. */
  readonly networks?: readonly NetworkAttachment[];
  /** Subnets of all networks there are: those the container is not in are unreachable. */
  readonly allSubnets?: () => readonly string[];
  /** The files of /etc that say what the network is like; members of a shared one have the hub's. */
  readonly etcFiles?: EtcFiles;
  /** Shares the network with other sentries: a listening socket, or one connected to whose network it is. */
  readonly share?: { readonly listen: number } | { readonly hub: number };
  /** The name server at 127.0.0.11 forwards to these addresses; absent: there is none. */
  readonly resolver?: ResolverOptions;
}

/** What gets the datagrams for an address. */
export interface DatagramReceiver {
  /** Whether it hears `source` at all. */
  accepts(source: Endpoint): boolean;
  deliver(source: Endpoint, payload: IoBuffer): void;
  /** Nobody was at `by`, to which it has sent. */
  refused(by: Endpoint): void;
}

/** How a destination is reached; `target` is what the host is to be told. */
export type Route =
  | { readonly kind: "local" }
  | { readonly kind: "network"; readonly network: Carrier }
  | { readonly kind: "outside"; readonly target: Endpoint };

const LOCAL: Route = { kind: "local" };

/** What a member of a shared network knows of it. */
interface Joined {
  readonly interfaces: readonly Interface[];
  readonly gateway: Ip | undefined;
  readonly hasExit: boolean;
  readonly subnets: readonly Subnet[];
}

/** How long a member waits for the sentry whose network it is to have. */
const JOIN_MS = 10_000;
/** The network of one container, as network_namespaces(7) means it. */
export class NetworkNamespace implements PeerReceiver, SharedWith, NetworkInfo {
  readonly tcp: Ports<TcpSocket> = new Ports<TcpSocket>(false);
  readonly udp: Ports<DatagramReceiver> = new Ports<DatagramReceiver>(true);
  readonly groups: MulticastGroups = new MulticastGroups();
  readonly mode: NetworkOptions["mode"];
  readonly traffic: Traffic = new Traffic();
  /** Ports of the host that lead here. */
  published: PublishedPorts | undefined;
  readonly #reactor: Reactor;
  /** What is made by socket(2). */
  readonly make: Sockets;
  readonly #egress: NonNullable<NetworkOptions["egress"]>;
  readonly #allSubnets: () => readonly string[];
  readonly #resolver: Resolver | undefined;
  /** Without networks to keep, everything outside counts as one hop away. */
  readonly #isPlain: boolean;
  readonly #attached: { readonly index: number; readonly network: PeerNetwork }[] = [];
  #interfaces: readonly Interface[];
  #own: ReadonlySet<Ip> = new Set();
  readonly #shared: SharedNamespace | undefined;
  #joined: Joined | undefined;
  #etcFiles: EtcFiles;

  constructor(reactor: Reactor, options: NetworkOptions) {
    this.#reactor = reactor;
    this.mode = options.mode;
    this.make = new Sockets(reactor, this, options.hostSockets === true);
    this.#egress = options.egress ?? (() => false);
    this.#allSubnets = options.allSubnets ?? (() => []);
    this.#isPlain = options.mode === "bridge" && options.networks === undefined;
    this.#interfaces = options.mode === "host" ? hostInterfaces() : [];
    this.#resolver = options.resolver && new Resolver(reactor, this, options.resolver);
    this.#etcFiles = options.etcFiles ?? new Map();
    for (const attachment of options.networks ?? []) this.#add(attachment);
    this.#changed();
    this.#shared = options.share && this.#openShared(options.share);
  }

  /** @throws an Error when the other sentry does not answer. */
  #openShared(share: NonNullable<NetworkOptions["share"]>): SharedNamespace {
    const shared = new SharedNamespace(this.#reactor, this, share, (state) => this.#learn(state));
    for (const [protocol, ports] of [
      ["tcp", this.tcp],
      ["udp", this.udp],
    ] as const) {
      ports.others = {
        isTaken: (endpoint) => shared.isTaken(protocol, endpoint),
        bound: (binding) => shared.bound(protocol, binding),
        released: (binding) => shared.released(binding),
      };
    }
    if ("listen" in share) return shared;
    const end = Date.now() + JOIN_MS;
    while (this.#joined === undefined && shared.hub !== undefined && Date.now() < end) {
      shared.receiveNow();
      if (this.#joined === undefined)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    if (this.#joined === undefined)
      throw new Error("The other container's network does not answer");
    return shared;
  }

  /** The files of /etc that go with the network. */
  get etcFiles(): EtcFiles {
    return this.#etcFiles;
  }

  get addresses(): readonly Ip[] {
    return [...this.#own];
  }

  addressTowards(ip: Ip): Ip | undefined {
    return this.#interfaces
      .flatMap(({ addresses }) => addresses)
      .find((own) => new Subnet(own.ip, own.prefix).contains(ip))?.ip;
  }

  state(): Uint8Array {
    const shared: SharedState = {
      interfaces: this.#interfaces.map((each) => ({
        ...each,
        mac: Buffer.from(each.mac).toString("hex"),
      })),
      gateway: this.gateway,
      hasExit: this.mode === "bridge" && this.hasExit,
      subnets: this.networks.flatMap(({ attachment }) => attachment.subnets),
      etc: [...this.#etcFiles],
    };
    return Buffer.from(JSON.stringify(shared));
  }

  /** A member hears what the network is like. */
  #learn(state: Uint8Array): void {
    const shared = JSON.parse(Buffer.from(state).toString("utf8")) as SharedState;
    this.#joined = {
      ...shared,
      interfaces: shared.interfaces.map((each) => ({ ...each, mac: Buffer.from(each.mac, "hex") })),
      subnets: shared.subnets.flatMap((text) => Subnet.parse(text) ?? []),
    };
    this.#etcFiles = new Map(shared.etc);
    this.#changed();
  }

  bindings(): ReturnType<SharedWith["bindings"]> {
    return [
      ...this.tcp.all().map((binding) => ({ protocol: "tcp" as const, binding })),
      ...this.udp.all().map((binding) => ({ protocol: "udp" as const, binding })),
    ];
  }

  takeStream(
    fd: number,
    from: Endpoint,
    to: Endpoint,
    done: (error: Errno | undefined) => void,
  ): void {
    const serve = this.serviceAt(to, "tcp");
    const network = this.isLocal(to.ip)
      ? undefined
      : this.networks.find((each) => each.contains(to.ip));
    if (network !== undefined) {
      network.connect(from, to, fd, done);
      return;
    }
    const error = this.isLocal(to.ip) ? undefined : ENETUNREACH;
    const refused = error ?? (serve === undefined ? this.acceptStream(fd, from, to) : serve(fd));
    if (refused instanceof Errno) close(fd);
    done(refused instanceof Errno ? refused : undefined);
  }

  takeDatagram(from: Endpoint, to: Endpoint, payload: IoBuffer): boolean {
    const network = this.isLocal(to.ip)
      ? undefined
      : this.networks.find((each) => each.contains(to.ip));
    if (network === undefined) return this.deliver(from, to, payload);
    return network.send(from, to, payload) === undefined;
  }

  interfaces(): readonly Interface[] {
    return this.#interfaces;
  }

  sockets(protocol: TransportProtocol): readonly SocketInfo[] {
    const bound = protocol === "tcp" ? this.tcp.all() : this.udp.all();
    return bound.flatMap(({ socket }) =>
      socket instanceof TcpSocket || socket instanceof UdpSocket ? [describeSocket(socket)] : [],
    );
  }

  /** The networks it is in now. */
  get networks(): readonly PeerNetwork[] {
    return this.#attached.map(({ network }) => network);
  }

  /** Joins a network. */
  attach(attachment: NetworkAttachment): void {
    this.#add(attachment);
    this.#changed();
  }

  /** Leaves a network. */
  detach(networkId: string): void {
    const index = this.#attached.findIndex(
      ({ network }) => network.attachment.networkId === networkId,
    );
    const [left] = index < 0 ? [] : this.#attached.splice(index, 1);
    left?.network.close();
    this.#changed();
  }

  #add(attachment: NetworkAttachment): void {
    const taken = new Set(this.#attached.map(({ index }) => index));
    let index = 0;
    while (taken.has(index)) index++;
    const network = new PeerNetwork(this.#reactor, attachment, this);
    this.#attached.push({ index, network });
    this.#attached.sort((a, b) => a.index - b.index);
  }

  #changed(): void {
    if (this.mode === "host") return;
    if (this.#joined !== undefined) {
      this.#show(this.#joined.interfaces);
      return;
    }
    const exit = this.#exit;
    const own = this.#attached.map(({ index, network }) =>
      attachedInterface(index, network, network === exit),
    );
    this.#show([LOOPBACK_INTERFACE, ...(this.#isPlain ? [BRIDGE_INTERFACE] : own)]);
  }

  #show(interfaces: readonly Interface[]): void {
    this.#interfaces = interfaces;
    this.#own = new Set(interfaces.flatMap(({ addresses }) => addresses.map(({ ip }) => ip)));
    this.#shared?.changed();
  }

  /** The network that has the default route. */
  get #exit(): PeerNetwork | undefined {
    const rank = ({ attachment }: PeerNetwork) => attachment.priority;
    const name = ({ attachment }: PeerNetwork) => attachment.networkName;
    return this.networks
      .filter(({ attachment }) => !attachment.internal)
      .sort((a, b) => rank(b) - rank(a) || (name(a) < name(b) ? -1 : 1))[0];
  }

  /** The host as the container sees it; undefined without a way out. */
  get gateway(): Ip | undefined {
    if (this.#joined !== undefined) return this.#joined.gateway;
    return this.#isPlain ? BRIDGE_INTERFACE.gateway : this.#exit?.gateways[0];
  }

  /** Whether anything beyond the container's networks can be reached at all. */
  get hasExit(): boolean {
    return this.#joined?.hasExit ?? (this.#isPlain || this.#exit !== undefined);
  }

  /** Whether an address is the container's own. */
  isLocal(ip: Ip): boolean {
    return isLoopback(ip) || this.#own.has(ip);
  }

  /** A destination with "no address" replaced by what it means: this very host. */
  concrete({ ip, port }: Endpoint): Endpoint {
    return { ip: ip === ANY4 ? LOOPBACK4 : ip === ANY6 ? LOOPBACK6 : ip, port };
  }

  /** How to reach a destination. @returns `ENETUNREACH`, also when the policy forbids it; `EHOSTUNREACH`. */
  route(to: Endpoint, protocol: TransportProtocol | "icmp"): Route | Errno {
    if (this.isLocal(to.ip)) {
      const elsewhere = protocol === "icmp" ? undefined : this.#elsewhere(to, protocol);
      return elsewhere === undefined ? LOCAL : { kind: "network", network: elsewhere };
    }
    const hub = this.#joined === undefined ? undefined : this.#shared?.hub;
    if (hub !== undefined && this.#joined?.subnets.some((subnet) => subnet.contains(to.ip))) {
      if (to.ip !== this.gateway) return { kind: "network", network: hub };
    }
    const network = this.networks.find((each) => each.contains(to.ip));
    if (network === undefined ? to.ip === this.gateway : network.gateways.includes(to.ip)) {
      const target = { ip: isV4(to.ip) ? LOOPBACK4 : LOOPBACK6, port: to.port };
      const closed = network?.attachment.internal === true;
      if (closed || !this.#egress(to, protocol, HOST_NAME)) return ENETUNREACH;
      return { kind: "outside", target };
    }
    if (network !== undefined) return { kind: "network", network };
    if (this.mode !== "bridge" || !this.hasExit) return ENETUNREACH;
    if (this.#allSubnets().some((text) => Subnet.parse(text)?.contains(to.ip))) return EHOSTUNREACH;
    return this.#egress(to, protocol) ? { kind: "outside", target: to } : ENETUNREACH;
  }

  /** The way to another sentry of a shared network that has bound one of its addresses. */
  #elsewhere(to: Endpoint, protocol: TransportProtocol): Carrier | undefined {
    if (this.#shared === undefined) return undefined;
    if (this.#joined !== undefined && isNameServer(to)) return this.#shared.hub;
    const own = protocol === "tcp" ? this.tcp.find(to) : this.udp.find(to);
    return own === undefined ? this.#shared.find(protocol, to) : undefined;
  }

  /** The container's address for what goes outside to `ip`. */
  outboundAddress(ip: Ip): Ip | undefined {
    if (this.#joined !== undefined)
      return this.addresses.find((own) => !isLoopback(own) && isV4(own) === isV4(ip));
    if (this.#isPlain) return isV4(ip) ? BRIDGE_INTERFACE.addresses[0]?.ip : undefined;
    return this.#exit?.addressFor(ip);
  }

  /** The container's address for what goes to `ip`, wherever that is. */
  sourceTowards(ip: Ip): Ip | undefined {
    if (this.isLocal(ip)) return ip;
    const network = this.networks.find((each) => each.contains(ip));
    return network?.addressFor(ip) ?? this.outboundAddress(ip);
  }

  /** Opens ports of the host. @throws {PortTaken} */
  publish(specs: readonly PublishSpec[]): void {
    if (specs.length > 0) this.published = new PublishedPorts(this.#reactor, this, specs);
  }

  /** What of the sentry itself serves streams at an address: the name server. */
  serviceAt(to: Endpoint, protocol: TransportProtocol): ((fd: number) => void) | undefined {
    const resolver = protocol === "tcp" && isNameServer(to) ? this.#resolver : undefined;
    return resolver && ((fd) => resolver.serve(fd));
  }

  /** Delivers a datagram within the container. @returns whether anybody was there. */
  deliver(from: Endpoint, to: Endpoint, payload: IoBuffer): boolean {
    if (this.#resolver !== undefined && isNameServer(to)) {
      this.#resolver.answer(payload.take(), (answer) => {
        this.deliver(to, from, HostBuffer.of(answer));
      });
      return true;
    }
    const receiver = this.udp.find(to);
    if (receiver?.accepts(from) === true) {
      receiver.deliver(from, payload);
      return true;
    }
    const elsewhere = receiver === undefined ? this.#shared?.find("udp", to) : undefined;
    return elsewhere !== undefined && elsewhere.send(from, to, payload) === undefined;
  }

  acceptStream(fd: number, from: Endpoint, to: Endpoint, network?: PeerNetwork): Errno | undefined {
    const listener = this.tcp.find(to);
    if (listener !== undefined) return listener.offer(fd, to, from, network);
    const elsewhere = this.#shared?.find("tcp", to);
    // Whether it is taken there is decided later: a refusal ends the connection.
    elsewhere?.connect(from, to, fd, () => {});
    return elsewhere === undefined ? ECONNREFUSED : undefined;
  }

  acceptDatagram(from: Endpoint, to: Endpoint, payload: IoBuffer): boolean {
    return this.deliver(from, to, payload);
  }

  unreachable(from: Endpoint, to: Endpoint): void {
    this.udp.find(from)?.refused(to);
  }

  /** The container has ended. */
  close(): void {
    this.published?.close();
    this.#shared?.close();
    this.#resolver?.close();
    for (const { network } of this.#attached.splice(0)) network.close();
  }
}
