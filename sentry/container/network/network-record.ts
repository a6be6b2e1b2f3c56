/** A network as it is kept: `network.json`. */
export interface NetworkRecord {
  /** Format of this file. */
  readonly version: 1;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly driver: "bridge" | "host" | "null";
  /** No way out. */
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly enableIPv6: boolean;
  readonly ipam: IpamRecord;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Addresses of a network. */
export interface IpamRecord {
  readonly options: Readonly<Record<string, string>>;
  /** The subnets were the user's choice; only then may addresses be chosen as well. */
  readonly chosen: boolean;
  /** At most one subnet of each family. */
  readonly pools: readonly AddressPool[];
}

/** A subnet, and what of it is given to containers. Text, as docker writes it. */
export interface AddressPool {
  readonly subnet: string;
  readonly gateway: string;
  /** The part of the subnet that addresses are taken from; absent: all of it. */
  readonly range?: string;
  /** Addresses that are spoken for, by name. */
  readonly reserved: Readonly<Record<string, string>>;
}

/** What a container has asked for in one network. */
export interface EndpointSettings {
  readonly aliases: readonly string[];
  /** `name:alias`: private names of this container for others. */
  readonly links: readonly string[];
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly mac?: string;
  /** Kept for who asks: nothing has such an address here. */
  readonly linkLocal?: readonly string[];
  readonly driverOptions: Readonly<Record<string, string>>;
  /** The highest has the default route. */
  readonly priority: number;
}

/** Nothing asked for. */
export const PLAIN_ENDPOINT: EndpointSettings = {
  aliases: [],
  links: [],
  driverOptions: {},
  priority: 0,
};

/** Names of the networks that are always there. */
export const PREDEFINED: ReadonlySet<string> = new Set(["bridge", "host", "none"]);
/** The network of containers that do not ask for one. */
export const DEFAULT_NETWORK = "bridge";
