import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Subnet } from "../../abi/ip.ts";
import { RecordLock } from "../../host/record-lock.ts";
import type { Directories } from "../directories.ts";
import { ContainerError } from "../errors.ts";
import { readJson, writeJson } from "../json-file.ts";
import { randomId } from "../names.ts";
import { makePools, type PoolRequest } from "./address-pools.ts";
import { type NetworkRecord, PREDEFINED } from "./network-record.ts";
import { Rendezvous } from "./rendezvous.ts";

/** What a user asks for in a new network. */
export interface NetworkRequest {
  readonly driver?: string | undefined;
  readonly internal?: boolean | undefined;
  readonly attachable?: boolean | undefined;
  readonly enableIPv6?: boolean | undefined;
  readonly pools?: readonly PoolRequest[] | undefined;
  readonly ipamOptions?: Readonly<Record<string, string>> | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Docker takes any name that is not blank; what would garble a terminal is no name here. */
const NAME = /^(?=.*\S)[^\p{Cc}]{1,255}$/u;
const ID = /^[0-9a-f]{64}$/;
const ID_PREFIX = /^[0-9a-f]{1,64}$/;
/** Begins names of directories being made or removed. */
const UNFINISHED = ".unfinished-";
const NO_POOLS = { options: {}, chosen: false, pools: [] } as const;

/** The networks of a state directory: a directory each, shared by every process of the user. */
export class NetworkStore {
  readonly directories: Directories;
  private readonly root: string;
  private subnetCache:
    | { readonly mtimeMs: number; readonly subnets: readonly string[] }
    | undefined;

  /** Makes the predefined networks where they are missing. */
  constructor(directories: Directories) {
    this.directories = directories;
    this.root = join(directories.root, "networks");
    if (readJson(join(this.root, "predefined.json")) !== undefined) return;
    mkdirSync(this.root, { recursive: true, mode: 0o700 });
    this.underLock(() => this.makePredefined());
  }

  /** All networks, the oldest first. */
  list(): readonly NetworkRecord[] {
    return readdirSync(this.root)
      .flatMap((id) => (ID.test(id) ? (this.read(id) ?? []) : []))
      .sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1));
  }

  /**
   * The network with that id, name, or beginning of an id.
   * @throws {ContainerError} `NO_SUCH_NETWORK`, `AMBIGUOUS_ID`.
   */
  find(reference: string): NetworkRecord {
    const exact = ID.test(reference) ? this.read(reference) : undefined;
    if (exact !== undefined) return exact;
    const all = this.list();
    const named = all.find(({ name }) => name === reference);
    if (named !== undefined) return named;
    const matches = ID_PREFIX.test(reference)
      ? all.filter(({ id }) => id.startsWith(reference))
      : [];
    const [found, ...others] = matches;
    if (others.length > 0) {
      throw new ContainerError(
        "AMBIGUOUS_ID",
        `network ${reference} is ambiguous (${matches.length} matches found based on ID prefix)`,
      );
    }
    if (found !== undefined) return found;
    throw new ContainerError(
      "NO_SUCH_NETWORK",
      `network ${reference} not found`,
      'See "ddcli network ls" for those there are',
    );
  }

  /**
   * Makes a network.
   * @throws {ContainerError} `NETWORK_EXISTS`, `PREDEFINED_NETWORK`, `INVALID_NETWORK`,
   *   `POOL_OVERLAPS`, `NO_ADDRESS`, `NO_SUCH_DRIVER`.
   */
  create(name: string, request: NetworkRequest): NetworkRecord {
    if (PREDEFINED.has(name) || name === "default") {
      throw new ContainerError(
        "PREDEFINED_NETWORK",
        `operation is not permitted on predefined ${name} network`,
      );
    }
    if (!NAME.test(name)) {
      throw new ContainerError(
        "INVALID_NETWORK",
        name.trim() === ""
          ? "invalid name: name is empty"
          : `invalid name: ${JSON.stringify(name)}`,
      );
    }
    const { driver = "bridge" } = request;
    if (driver !== "bridge" && driver !== "default" && driver !== "") {
      throw new ContainerError(
        "NO_SUCH_DRIVER",
        `could not find plugin ${driver} in v1 plugin registry: plugin not found`,
        "Networks here are of the driver bridge",
      );
    }
    return this.underLock(() => {
      if (this.list().some((other) => other.name === name)) {
        throw new ContainerError(
          "NETWORK_EXISTS",
          `network with name ${name} already exists`,
          `Remove that one ("ddcli network rm ${name}") or choose another name`,
        );
      }
      const enableIPv6 = request.enableIPv6 ?? false;
      const taken = this.subnets().flatMap((text) => Subnet.parse(text) ?? []);
      const { pools, chosen } = makePools(request.pools ?? [], enableIPv6, taken);
      const record: NetworkRecord = {
        version: 1,
        id: randomId(),
        name,
        createdAt: Date.now(),
        driver: "bridge",
        internal: request.internal ?? false,
        attachable: request.attachable ?? false,
        enableIPv6,
        ipam: { options: request.ipamOptions ?? {}, chosen, pools },
        options: request.options ?? {},
        labels: request.labels ?? {},
      };
      this.write(record);
      return record;
    });
  }

  /**
   * Removes a network.
   * @throws {ContainerError} `PREDEFINED_NETWORK`, `NETWORK_IN_USE` while containers run in it.
   */
  remove(network: NetworkRecord): void {
    if (PREDEFINED.has(network.name)) {
      throw new ContainerError(
        "PREDEFINED_NETWORK",
        `${network.name} is a pre-defined network and cannot be removed`,
      );
    }
    const rendezvous = this.rendezvous(network);
    rendezvous.underLock(() => {
      const members = rendezvous.members();
      if (members.length > 0) {
        const list = members.map(
          ({ containerName, endpointId }) =>
            `name:"${containerName}" id:"${endpointId.slice(0, 12)}"`,
        );
        throw new ContainerError(
          "NETWORK_IN_USE",
          `error while removing network: network ${network.name} has active endpoints (${list.join(", ")})`,
          `Take them out of it first: "ddcli network disconnect ${network.name} CONTAINER"`,
        );
      }
      renameSync(join(this.root, network.id), join(this.root, `${UNFINISHED}${network.id}`));
    });
    rmSync(join(this.root, `${UNFINISHED}${network.id}`), { recursive: true, force: true });
    rmSync(rendezvous.directory, { recursive: true, force: true });
  }

  /** Where the running containers of a network meet. */
  rendezvous(network: Pick<NetworkRecord, "id">): Rendezvous {
    return new Rendezvous(this.directories, network.id, join(this.root, network.id, "lock"));
  }

  /** The subnets of all networks. */
  subnets(): readonly string[] {
    const { mtimeMs } = statSync(this.root);
    // Of two changes in one tick of the clock, the second could go unnoticed.
    const settled = Date.now() - mtimeMs > 100;
    if (settled && this.subnetCache?.mtimeMs === mtimeMs) return this.subnetCache.subnets;
    const subnets = this.list().flatMap(({ ipam }) => ipam.pools.map(({ subnet }) => subnet));
    this.subnetCache = { mtimeMs, subnets };
    return subnets;
  }

  private read(id: string): NetworkRecord | undefined {
    return readJson<NetworkRecord>(join(this.root, id, "network.json"));
  }

  private write(record: NetworkRecord): void {
    const unfinished = join(this.root, `${UNFINISHED}${record.id}`);
    mkdirSync(unfinished, { recursive: true, mode: 0o700 });
    writeJson(join(unfinished, "network.json"), record);
    writeFileSync(join(unfinished, "lock"), "", { mode: 0o600 });
    renameSync(unfinished, join(this.root, record.id));
  }

  private makePredefined(): void {
    const path = join(this.root, "predefined.json");
    if (readJson(path) !== undefined) return;
    const present = new Set(this.list().map(({ name }) => name));
    const common = { version: 1, internal: false, attachable: false, labels: {} } as const;
    const { pools } = makePools([], false, []);
    const bridge = {
      name: "bridge",
      driver: "bridge",
      ipam: { ...NO_POOLS, pools },
      options: {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": "docker0",
        "com.docker.network.driver.mtu": "1500",
      },
    } as const;
    const host = { name: "host", driver: "host", ipam: NO_POOLS, options: {} } as const;
    const none = { name: "none", driver: "null", ipam: NO_POOLS, options: {} } as const;
    for (const network of [bridge, host, none]) {
      if (present.has(network.name)) continue;
      const id = randomId();
      this.write({ ...common, ...network, id, createdAt: Date.now(), enableIPv6: false });
    }
    writeJson(path, { version: 1 });
  }

  private underLock<T>(section: () => T): T {
    const path = join(this.root, "networks.lock");
    writeFileSync(path, "", { flag: "a", mode: 0o600 });
    const lock = RecordLock.acquire(path);
    try {
      return section();
    } finally {
      lock.release();
    }
  }
}
