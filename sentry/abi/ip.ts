/** Internet addresses: as bytes that can be compared, as text (inet_pton(3)), and subnets of them. */

/** An IPv6 address as 16 bytes in a string, comparable; IPv4 addresses are v4-mapped. */
export type Ip = string;

/** An internet address and a port. */
export interface Endpoint {
  readonly ip: Ip;
  readonly port: number;
}

const V4_PREFIX = "\0\0\0\0\0\0\0\0\0\0\xff\xff";
const V6_BITS = 128;
const V4_BITS = 32;

/** The v4-mapped form of an IPv4 address. */
export function ipv4(a: number, b: number, c: number, d: number): Ip {
  return V4_PREFIX + String.fromCharCode(a, b, c, d);
}

export const ANY4: Ip = ipv4(0, 0, 0, 0);
export const ANY6: Ip = "\0".repeat(16);
export const LOOPBACK4: Ip = ipv4(127, 0, 0, 1);
export const LOOPBACK6: Ip = `${"\0".repeat(15)}\x01`;

export function isV4(ip: Ip): boolean {
  return ip.startsWith(V4_PREFIX);
}

/** Whether an address means the host it is used on: 127.0.0.0/8, ::1, or no address at all. */
export function isLoopback(ip: Ip): boolean {
  return ip === LOOPBACK6 || ip === ANY6 || ip === ANY4 || (isV4(ip) && ip.charCodeAt(12) === 127);
}

/** The four bytes of a v4-mapped address. */
export function v4Bytes(ip: Ip): Uint8Array {
  return Buffer.from(ip.slice(12), "latin1");
}

/** An address as its family writes it: four bytes or sixteen. */
export function ipBytes(ip: Ip): Uint8Array {
  return isV4(ip) ? v4Bytes(ip) : Buffer.from(ip, "latin1");
}

/** The address in four or sixteen bytes. */
export function ipOfBytes(bytes: Uint8Array): Ip {
  const text = Buffer.from(bytes).toString("latin1");
  return bytes.length === 4 ? V4_PREFIX + text : text;
}

/** Reads `172.17.0.2` or `fd00::2`. @returns undefined for anything else. */
export function parseIp(text: string): Ip | undefined {
  if (text.length > 45) return undefined;
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Ip | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part))) {
    return undefined;
  }
  const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number);
  return Math.max(a, b, c, d) > 255 ? undefined : ipv4(a, b, c, d);
}

function parseV6(text: string): Ip | undefined {
  const lastColon = text.lastIndexOf(":");
  const tail = text.slice(lastColon + 1);
  const v4 = tail.includes(".") ? parseV4(tail) : undefined;
  if (tail.includes(".") && v4 === undefined) return undefined;
  // An embedded IPv4 address stands for two groups.
  const groupsText =
    v4 === undefined
      ? text
      : `${text.slice(0, lastColon + 1)}${Buffer.from(v4Bytes(v4)).toString("hex").replace(/^..../, "$&:")}`;
  const halves = groupsText.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  if (!groups.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  const [head = [], end] = groups;
  const missing = 8 - head.length - (end?.length ?? 0);
  if (end === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...new Array<string>(missing).fill("0"), ...(end ?? [])];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex").toString("latin1");
}

/** As inet_ntop(3) writes it: `172.17.0.2`, `fd00::2`. */
export function formatIp(ip: Ip): string {
  if (isV4(ip)) return [...v4Bytes(ip)].join(".");
  const bytes = Buffer.from(ip, "latin1");
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  const plain = groups.join(":");
  // The longest run of two zero groups or more, the first of equals. See RFC 5952.
  const runs = [...plain.matchAll(/\b0(?::0)+\b/g)].sort((a, b) => b[0].length - a[0].length);
  const [run] = runs;
  if (run === undefined) return plain;
  const before = plain.slice(0, run.index).replace(/:$/, "");
  return `${before}::${plain.slice(run.index + run[0].length).replace(/^:/, "")}`;
}

const toNumber = (ip: Ip) => BigInt(`0x${Buffer.from(ip, "latin1").toString("hex")}`);
const fromNumber = (value: bigint): Ip =>
  Buffer.from(value.toString(16).padStart(32, "0"), "hex").toString("latin1");

/** The addresses that share their first `prefix` bits. */
export class Subnet {
  /** Its lowest address. */
  readonly network: Ip;
  /** As its family counts: at most 32 or 128. */
  readonly prefix: number;
  readonly #first: bigint;
  readonly #size: bigint;

  /** @param prefix as the family of `ip` counts; bits of `ip` behind it are dropped. */
  constructor(ip: Ip, prefix: number) {
    this.prefix = prefix;
    this.#size = 1n << BigInt((isV4(ip) ? V4_BITS : V6_BITS) - prefix);
    this.#first = toNumber(ip) & ~(this.#size - 1n);
    this.network = fromNumber(this.#first);
  }

  /** Reads `172.18.0.0/16`; an address behind the prefix is allowed. @returns undefined for anything else. */
  static parse(text: string): Subnet | undefined {
    const [address = "", length = "", ...rest] = text.split("/");
    const ip = parseIp(address);
    if (ip === undefined || rest.length > 0 || !/^[0-9]{1,3}$/.test(length)) return undefined;
    const prefix = Number(length);
    return prefix > (isV4(ip) ? V4_BITS : V6_BITS) ? undefined : new Subnet(ip, prefix);
  }

  get isV4(): boolean {
    return isV4(this.network);
  }

  /** How many addresses there are. */
  get size(): bigint {
    return this.#size;
  }

  /** Its highest address: the broadcast address of an IPv4 network. */
  get last(): Ip {
    return fromNumber(this.#first + this.#size - 1n);
  }

  contains(ip: Ip): boolean {
    const value = toNumber(ip);
    return isV4(ip) === this.isV4 && value >= this.#first && value < this.#first + this.#size;
  }

  overlaps(other: Subnet): boolean {
    return this.contains(other.network) || other.contains(this.network);
  }

  /** The address so many above {@link network}. */
  at(index: bigint): Ip {
    return fromNumber(this.#first + index);
  }

  toString(): string {
    return `${formatIp(this.network)}/${this.prefix}`;
  }
}
