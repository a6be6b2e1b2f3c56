/** Socket addresses: AF_INET and AF_INET6 as one kind of endpoint, and AF_UNIX names. */
import { EAFNOSUPPORT, EINVAL, Errno } from "../abi/errno.ts";
import { ANY4, ANY6, type Endpoint, ipOfBytes, v4Bytes } from "../abi/ip.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "../abi/socket.ts";
import { SockaddrIn, SockaddrIn6 } from "../abi/structs.ts";

/** RFC 2133's sockaddr_in6, without scope: still accepted. */
const SOCKADDR_IN6_MIN = 24;
const UNIX_PATH_MAX = 108;

/** The family of an address as a guest wrote it. @returns `EINVAL` when it is too short to tell. */
export function familyOf(address: Uint8Array): number | Errno {
  return address.length < 2 ? EINVAL : (address[0] ?? 0) | ((address[1] ?? 0) << 8);
}

/** Decodes an address for a socket of `family`. @returns `EINVAL`, `EAFNOSUPPORT`. */
export function parseEndpoint(family: number, address: Uint8Array): Endpoint | Errno {
  const given = familyOf(address);
  if (given instanceof Errno) return given;
  const size = family === AF_INET ? SockaddrIn.size : SOCKADDR_IN6_MIN;
  if (address.length < size) return EINVAL;
  if (given !== family) return EAFNOSUPPORT;
  if (family === AF_INET) {
    const { addr, port } = SockaddrIn.parse(address);
    return { ip: ipOfBytes(addr), port };
  }
  const padded = new Uint8Array(SockaddrIn6.size);
  padded.set(address.subarray(0, SockaddrIn6.size));
  const { addr, port } = SockaddrIn6.parse(padded);
  return { ip: Buffer.from(addr).toString("latin1"), port };
}

/** Encodes an endpoint for a socket of `family`. */
export function formatEndpoint(family: number, { ip, port }: Endpoint): Uint8Array {
  if (family === AF_INET) {
    const addr = ip === ANY6 ? v4Bytes(ANY4) : v4Bytes(ip);
    return SockaddrIn.bytes({ family, port, addr, zero: new Uint8Array(8) });
  }
  const addr = Buffer.from(ip === ANY4 ? ANY6 : ip, "latin1");
  return SockaddrIn6.bytes({ family: AF_INET6, port, flowinfo: 0, addr, scopeId: 0 });
}

/** An AF_UNIX name: a path, an abstract name, or none. See unix(7). */
export type UnixName =
  | { readonly kind: "path" | "abstract"; readonly bytes: string }
  | { readonly kind: "unnamed" };

/** @returns `EINVAL` for another family or a length out of bounds. */
export function parseUnixName(address: Uint8Array): UnixName | Errno {
  if (familyOf(address) !== AF_UNIX || address.length > 2 + UNIX_PATH_MAX) return EINVAL;
  const name = Buffer.from(address.subarray(2)).toString("latin1");
  if (name.length === 0) return { kind: "unnamed" };
  if (name.startsWith("\0")) return { kind: "abstract", bytes: name };
  const end = name.indexOf("\0");
  return { kind: "path", bytes: end < 0 ? name : name.slice(0, end) };
}

export function formatUnixName(name: UnixName): Uint8Array {
  const family = [AF_UNIX, 0];
  if (name.kind === "unnamed") return Uint8Array.from(family);
  const ending = name.kind === "path" ? "\0" : "";
  return Uint8Array.from([...family, ...Buffer.from(name.bytes + ending, "latin1")]);
}
