import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { toText } from "../../abi/bytes.ts";
import { ipBytes, parseIp } from "../../abi/ip.ts";
import { close } from "../../host/io.ts";
import type {
  ContainerSpec,
  NetworkAttachment,
  NetworkMember,
  PublishedPort,
  SentryContainer,
  SentryOptions,
} from "../../spec.ts";
import { ContainerError } from "../errors.ts";
import type { Container, ContainerRecord } from "../record.ts";
import type { ContainerStore, HeldContainer } from "../store.ts";
import { pickAddress } from "./address-pools.ts";
import {
  checkSettings,
  type LiveNetwork,
  wantedNetworks,
  withNetwork,
  withoutNetwork,
  writeLive,
  writeWanted,
} from "./container-networks.ts";
import { EgressLog } from "./egress-log.ts";
import { linkEnvironment, parseLink } from "./links.ts";
import { DEFAULT_NETWORK, type EndpointSettings, type NetworkRecord } from "./network-record.ts";
import { NetworkStore } from "./network-store.ts";

const SHORT_ID = 12;
/** In the run directory of a container: who shares its network connects here. */
const SHARE_SOCKET = "net.sock";
/** Containers that share the network of one that shares the network of one... */
const SHARES_MAX = 16;

/** What a container is in one network, until it leaves. */
interface Joined {
  readonly network: NetworkRecord;
  readonly settings: EndpointSettings;
  readonly member: NetworkMember;
  /** Undefined where there is nothing to serve: on the host's network, and on none. */
  readonly listener: number | undefined;
}

/** What of a container its networking needs to know; a step of a build has no more than that. */
export interface NetworkedContainer
  extends Pick<HeldContainer, "id" | "directory" | "runDirectory"> {
  readonly record: Pick<ContainerRecord, "name" | "spec">;
}

/** A container's places in its networks, from its start to its end, kept by the process that runs it. */
export class Networking {
  private readonly containers: ContainerStore;
  private readonly store: NetworkStore;
  private readonly held: NetworkedContainer;
  /** Whose network it shares. */
  private readonly host: ContainerRecord | undefined;
  private readonly egressLog: EgressLog;
  private readonly joined: Joined[] = [];
  private ports: readonly PublishedPort[] = [];
  private sentry: SentryContainer | undefined;
  private linked: readonly string[] | undefined;

  private constructor(containers: ContainerStore, held: NetworkedContainer) {
    this.containers = containers;
    this.store = new NetworkStore(containers.directories);
    this.held = held;
    this.host = hostOf(containers, held.record);
    this.egressLog = new EgressLog(held.directory);
  }

  /**
   * Takes the container's places in all networks it is to be in.
   * @throws {ContainerError} when one cannot be had; then none is kept.
   */
  static open(containers: ContainerStore, held: NetworkedContainer): Networking {
    const networking = new Networking(containers, held);
    try {
      for (const { network, settings } of wantedNetworks(held)) {
        networking.join(networking.store.find(network), settings);
      }
    } catch (error) {
      networking.close();
      throw error;
    }
    return networking;
  }

  /** What the sentry is to be told. */
  options(): Pick<SentryOptions, "networks" | "allSubnets" | "egressLog" | "share"> {
    const { host, held } = this;
    const shares = held.record.spec.network.mode === "container";
    const ends =
      host === undefined ? held.runDirectory : this.containers.runDirectoryOf(host.spec.id);
    const path = join(ends, SHARE_SOCKET);
    return {
      share: shares ? { with: path } : { at: path },
      networks: this.joined.flatMap((joined) => this.attachment(joined) ?? []),
      allSubnets: () => this.store.subnets(),
      egressLog: (attempt) => this.egressLog.write(attempt),
    };
  }

  /** The container's spec, with what it has of the container whose network it shares. */
  spec(): ContainerSpec {
    const { spec } = this.held.record;
    if (this.host === undefined) return spec;
    const { hostname, network } = this.host.spec;
    const mode = network.mode === "host" ? "host" : "container";
    return { ...spec, hostname, network: { ...spec.network, mode } };
  }

  /**
   * Variables by which its processes learn of containers it is linked to: as those were when it was asked first,
   * before the start. @throws {ContainerError}
   */
  linkEnvironment(): readonly string[] {
    this.linked ??= this.joined
      .filter(({ network }) => network.name === DEFAULT_NETWORK)
      .flatMap(({ network, settings }) => {
        const members = settings.links.length === 0 ? [] : this.store.rendezvous(network).members();
        return linkEnvironment(this.containers, this.held.record, settings.links, members);
      });
    return this.linked;
  }

  /** Its name has changed: others find it by the new one. */
  renamed(): void {
    const { name } = this.held.record;
    this.joined.splice(
      0,
      this.joined.length,
      ...this.joined.map((joined) => {
        const { containerName, names } = joined.member;
        const others = names.filter((each) => each !== containerName && each !== name);
        const member = { ...joined.member, containerName: name, names: [name, ...others] };
        this.store.rendezvous(joined.network).update(member);
        return { ...joined, member };
      }),
    );
    this.publish();
  }

  /** The sentry works: says where the container can be reached. */
  started(sentry: SentryContainer): void {
    this.sentry = sentry;
    this.ports = sentry.publishedPorts();
    this.publish();
  }

  /** Joins a network while the container runs. @throws {ContainerError} */
  connect(reference: string, settings: EndpointSettings): void {
    const network = this.store.find(reference);
    refuseMode(this.held);
    const wanted = withNetwork(wantedNetworks(this.held), network, settings, this.held.record.name);
    const joined = this.join(network, settings);
    const attachment = this.attachment(joined);
    if (attachment !== undefined) this.sentry?.attachNetwork(attachment);
    writeWanted(this.held.directory, wanted);
    this.publish();
  }

  /** Leaves a network while the container runs. @throws {ContainerError} */
  disconnect(reference: string): void {
    const network = this.store.find(reference);
    const wanted = withoutNetwork(wantedNetworks(this.held), network, this.held.id);
    const index = this.joined.findIndex((each) => each.network.id === network.id);
    const [left] = index < 0 ? [] : this.joined.splice(index, 1);
    this.sentry?.detachNetwork(network.id);
    if (left !== undefined) this.leave(left);
    writeWanted(this.held.directory, wanted);
    this.publish();
  }

  /** Why the container did not start, as docker says it when a port of the host cannot be had. */
  explain(message: string, code: unknown): string {
    const [first] = this.joined;
    if (code !== "PORT_TAKEN" || first === undefined) return message;
    const { endpointId } = first.member;
    const what = `endpoint ${this.held.record.name} (${endpointId})`;
    return `driver failed programming external connectivity on ${what}: ${message}`;
  }

  /** The container has ended. */
  close(): void {
    for (const joined of this.joined.splice(0)) {
      // Once there is a sentry, the sockets are its own.
      if (this.sentry === undefined && joined.listener !== undefined) close(joined.listener);
      this.leave(joined);
    }
    this.egressLog.close();
  }

  private join(network: NetworkRecord, settings: EndpointSettings): Joined {
    checkSettings(network, settings);
    const rendezvous = this.store.rendezvous(network);
    const joined = rendezvous.underLock(() => {
      rendezvous.sweep();
      const isTaken = (address: string) => rendezvous.at(address) !== undefined;
      const addresses = network.ipam.pools.map((pool) => {
        const wanted = pool.subnet.includes(":") ? settings.ipv6 : settings.ipv4;
        const { address, prefix } = pickAddress(network, pool, wanted || undefined, isTaken);
        return `${address}/${prefix}`;
      });
      const member = this.memberOf(settings, addresses);
      return { network, settings, member, listener: rendezvous.register(member) };
    });
    this.joined.push(joined);
    return joined;
  }

  private memberOf(settings: EndpointSettings, addresses: readonly string[]): NetworkMember {
    const { id, record } = this.held;
    const shortId = id.slice(0, SHORT_ID);
    const hostname = toText(record.spec.hostname);
    const ipv4 = addresses.find((address) => !address.includes(":")) ?? "";
    const names = [record.name, ...settings.aliases, shortId, hostname];
    return {
      containerId: id,
      containerName: record.name,
      pid: process.pid,
      endpointId: randomBytes(32).toString("hex"),
      mac: settings.mac?.toLowerCase() ?? macOf(ipv4),
      ipv4,
      ipv6: addresses.find((address) => address.includes(":")) ?? "",
      names: [...new Set(names)],
    };
  }

  private leave({ network, member }: Joined): void {
    const rendezvous = this.store.rendezvous(network);
    try {
      rendezvous.underLock(() => {
        // Somebody may have swept it away already and taken the place.
        const there = member.ipv4 === "" || this.isOurs(rendezvous.at(addressOf(member)), member);
        if (there) rendezvous.remove(member);
      });
    } catch (error) {
      if (!(error instanceof ContainerError && error.code === "NO_SUCH_NETWORK")) throw error;
    }
  }

  private isOurs(found: NetworkMember | undefined, member: NetworkMember): boolean {
    return found?.endpointId === member.endpointId;
  }

  private attachment({
    network,
    settings,
    member,
    listener,
  }: Joined): NetworkAttachment | undefined {
    if (listener === undefined) return undefined;
    const { pools } = network.ipam;
    return {
      networkId: network.id,
      networkName: network.name,
      internal: network.internal,
      hasNames: network.name !== DEFAULT_NETWORK,
      member,
      subnets: pools.map(({ subnet }) => subnet),
      gateways: pools.map(({ gateway }) => gateway),
      links: settings.links.map((link) => {
        const { name, alias } = parseLink(link);
        return [alias, this.nameOf(name)] as const;
      }),
      priority: settings.priority,
      listener,
      peers: this.store.rendezvous(network),
    };
  }

  /** The name of a container that is called by its id; anything else may be one that is still to come. */
  private nameOf(reference: string): string {
    if (!/^[0-9a-f]{12,64}$/.test(reference)) return reference;
    const found = this.containers.list().find(({ record }) => record.spec.id.startsWith(reference));
    return found?.record.name ?? reference;
  }

  private publish(): void {
    const networks = this.joined.map(
      ({ network, member }): LiveNetwork => ({
        networkId: network.id,
        networkName: network.name,
        member,
        gateways: network.ipam.pools.map(({ gateway }) => gateway),
      }),
    );
    writeLive(this.held.runDirectory, { networks, ports: this.ports });
  }
}

function donorOf(containers: ContainerStore, reference: string): Container {
  try {
    return containers.find(reference);
  } catch (error) {
    if (!(error instanceof ContainerError)) throw error;
    const { code, message } = error;
    throw new ContainerError(code, `joining network namespace of container: ${message}`);
  }
}

/** The container whose network another one shares, in the end. @throws {ContainerError} when it does not run. */
function hostOf(
  containers: ContainerStore,
  { spec }: Pick<ContainerRecord, "spec">,
): ContainerRecord | undefined {
  let { mode, name = "" } = spec.network;
  let found: ContainerRecord | undefined;
  for (let i = 0; mode === "container" && i < SHARES_MAX; i++) {
    const { record, state } = donorOf(containers, name.slice("container:".length));
    if (record.spec.id === spec.id) {
      throw new ContainerError("INVALID_ENDPOINT", "cannot join own network namespace");
    }
    if (state.status !== "running") {
      const is = state.status === "exited" && state.startedAt === 0 ? "created" : state.status;
      throw new ContainerError(
        "CONTAINER_NOT_RUNNING",
        `cannot join network namespace of a non running container: container ${record.name} is ${is}`,
      );
    }
    found = record;
    ({ mode, name = "" } = found.spec.network);
  }
  return found;
}

/** @throws {ContainerError} when the container's network is not its own to change. */
export function refuseMode({ record }: Pick<NetworkedContainer, "record">): void {
  const { mode } = record.spec.network;
  if (mode === "bridge") return;
  throw new ContainerError(
    "INVALID_ENDPOINT",
    mode === "container"
      ? "container sharing network namespace with another container or host cannot be connected to any other network"
      : mode === "host"
        ? "cannot connect container to host network - container must be created in host network mode"
        : "container cannot be connected to multiple networks with one of the networks in private (none) mode",
  );
}

function addressOf({ ipv4 }: NetworkMember): string {
  return ipv4.split("/")[0] ?? "";
}

/** Locally administered, made of the address, so that no two in a network have the same. */
function macOf(ipv4: string): string {
  const ip = parseIp(ipv4.split("/")[0] ?? "");
  if (ip === undefined) return "";
  const bytes = Buffer.concat([Uint8Array.of(0x02, 0x42), ipBytes(ip)]);
  return bytes.toString("hex").replace(/..(?!$)/g, "$&:");
}
