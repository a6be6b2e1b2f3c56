import type { ByteString } from "../abi/bytes.ts";
import { ImageError, quoted } from "./errors.ts";
import {
  PAX_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
  XATTR_VALUE_BYTES_MAX,
  XATTRS_MAX,
} from "./limits.ts";

/** The records of a pax extended header, keys and values as byte strings; without a prototype. */
export type PaxRecords = Record<string, ByteString>;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const LENGTH_DIGITS_MAX = 8;
const SPARSE_PAIR = new Set(["GNU.sparse.offset", "GNU.sparse.numbytes"]);
const XATTR_PREFIX = "SCHILY.xattr.";
/** overlayfs' own bookkeeping of another machine: it would change the meaning of the layer. */
const OVERLAY_PREFIX = "trusted.overlay.";

/**
 * The records of an extended header: `length key=value\n`, where length counts the whole record.
 * See pax(1), "pax Extended Header".
 * @throws {ImageError} LAYER_ENTRY or LAYER_LIMIT
 */
export function decodePax(block: Uint8Array): PaxRecords {
  if (block.length > PAX_BYTES_MAX) {
    throw new ImageError("LAYER_LIMIT", `an extended header of ${block.length} bytes`);
  }
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.length);
  const records: PaxRecords = Object.create(null);
  const map: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(SPACE, at);
    const digits = space < 0 ? "" : bytes.toString("latin1", at, Math.min(space, at + 16));
    if (digits.length > LENGTH_DIGITS_MAX || !/^[0-9]+$/.test(digits)) throw malformed();
    const next = at + Number(digits);
    if (next > bytes.length || next <= space + 1 || bytes[next - 1] !== NEWLINE) throw malformed();
    const record = bytes.toString("latin1", space + 1, next - 1);
    const equals = record.indexOf("=");
    if (equals <= 0) throw malformed();
    const key = record.slice(0, equals);
    const value = record.slice(equals + 1);
    // The oldest format of sparse files repeats these two in turn instead of one list.
    if (SPARSE_PAIR.has(key)) map.push(value);
    else records[key] = value;
    at = next;
  }
  if (map.length > 0) records["GNU.sparse.map"] = map.join(",");
  for (const key of ["path", "linkpath"]) {
    if (records[key]?.includes("\0")) throw malformed();
  }
  return records;
}

function malformed(): ImageError {
  return new ImageError("LAYER_ENTRY", "an extended header that cannot be read");
}

/** A number that overrides the header's, or undefined. */
export function paxInteger(pax: PaxRecords | undefined, key: string): number | undefined {
  const text = pax?.[key];
  if (text === undefined || text === "") return undefined;
  if (!/^[0-9]{1,16}$/.test(text)) throw new ImageError("LAYER_ENTRY", `${key}=${quoted(text)}`);
  return Number(text);
}

/** A time, with as many decimals as its writer liked, in nanoseconds. */
export function paxTime(pax: PaxRecords | undefined, key: string): bigint | undefined {
  const text = pax?.[key];
  if (text === undefined || text === "") return undefined;
  const match = /^(-?)([0-9]{1,10})(?:\.([0-9]{0,30}))?$/.exec(text);
  if (match === null) throw new ImageError("LAYER_ENTRY", `${key}=${quoted(text)}`);
  const [, sign, seconds = "", fraction = ""] = match;
  const nanoseconds = BigInt(`${seconds}${fraction.slice(0, 9).padEnd(9, "0")}`);
  if (nanoseconds >= 1n << 63n) throw new ImageError("LAYER_ENTRY", `${key}=${quoted(text)}`);
  return sign === "-" ? -nanoseconds : nanoseconds;
}

const NONE: ReadonlyMap<ByteString, Uint8Array> = new Map();

/** The extended attributes of a file, which star, GNU tar and Go's tar keep as `SCHILY.xattr.NAME`. */
export function paxXattrs(pax: PaxRecords | undefined): ReadonlyMap<ByteString, Uint8Array> {
  if (pax === undefined) return NONE;
  let xattrs: Map<ByteString, Uint8Array> | undefined;
  for (const key in pax) {
    if (!key.startsWith(XATTR_PREFIX)) continue;
    const name = key.slice(XATTR_PREFIX.length);
    const value = Buffer.from(pax[key] ?? "", "latin1");
    if (name.startsWith(OVERLAY_PREFIX)) continue;
    if (name === "" || name.length > XATTR_NAME_BYTES_MAX || name.includes("\0")) {
      throw new ImageError("LAYER_ENTRY", `an extended attribute called ${quoted(name)}`);
    }
    if (value.length > XATTR_VALUE_BYTES_MAX) {
      throw new ImageError("LAYER_LIMIT", `${value.length} bytes of attribute ${quoted(name)}`);
    }
    xattrs ??= new Map();
    xattrs.set(name, value);
    if (xattrs.size > XATTRS_MAX) {
      throw new ImageError("LAYER_LIMIT", `more than ${XATTRS_MAX} attributes of one file`);
    }
  }
  return xattrs ?? NONE;
}
