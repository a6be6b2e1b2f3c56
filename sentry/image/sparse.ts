import type { ByteString } from "../abi/bytes.ts";
import { ImageError, quoted } from "./errors.ts";
import { SPARSE_EXTENTS_MAX } from "./limits.ts";
import type { PaxRecords } from "./pax.ts";
import { tarNumber } from "./tar-header.ts";

/** Bytes of a sparse file that the archive has; everything between extents is zero. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** What GNU tar says of a sparse file. Its map is in one of three places: see {@link SparseMap}. */
export interface SparseFile {
  readonly name: ByteString;
  /** Bytes of the file with its holes. */
  readonly size: number;
  /** Undefined where the map comes before the content (format 1.0). */
  readonly extents: readonly Extent[] | undefined;
}

/**
 * The sparse file that pax records describe, in the formats 0.0, 0.1 and 1.0, or undefined. See the
 * manual of GNU tar, "Storing Sparse Files".
 * @throws {ImageError} LAYER_ENTRY, LAYER_LIMIT
 */
export function paxSparse(pax: PaxRecords, name: ByteString): SparseFile | undefined {
  const major = pax["GNU.sparse.major"];
  const minor = pax["GNU.sparse.minor"];
  const map = pax["GNU.sparse.map"];
  const own = pax["GNU.sparse.name"] ?? name;
  if (major !== undefined || minor !== undefined) {
    if (major === "1" && minor === "0") {
      const size = whole(pax["GNU.sparse.realsize"] ?? pax["GNU.sparse.size"], name);
      return { name: own, size, extents: undefined };
    }
    if (major !== "0" || (minor !== "0" && minor !== "1")) {
      throw new ImageError("LAYER_UNSUPPORTED", `${quoted(name)} is sparse in an unknown format`);
    }
  }
  const size = pax["GNU.sparse.size"];
  if (map === undefined && size === undefined) return undefined;
  const numbers = map === undefined || map === "" ? [] : map.split(",");
  if (numbers.length % 2 !== 0 || numbers.length > 2 * SPARSE_EXTENTS_MAX) throw malformed(name);
  const extents: Extent[] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    extents.push({ offset: whole(numbers[i], name), length: whole(numbers[i + 1], name) });
  }
  return { name: own, size: whole(size, name), extents };
}

/** The extents that a GNU header or an extension of it has room for: offset and length, in 12 digits. */
export function gnuExtents(block: Buffer, start: number, room: number): Extent[] {
  const extents: Extent[] = [];
  for (let i = 0; i < room; i++) {
    const at = start + i * 24;
    if (block[at] === 0) break;
    extents.push({ offset: tarNumber(block, at, 12), length: tarNumber(block, at + 12, 12) });
  }
  return extents;
}

/** Collects the lines of a map before the content: how many extents, then an offset and a length each. */
export class SparseMap {
  readonly #numbers: number[] = [];
  readonly #name: ByteString;
  #digits = "";

  constructor(name: ByteString) {
    this.#name = name;
  }

  /** Takes a block; says whether the map ends in it. */
  add(block: Buffer): boolean {
    this.#digits += block.toString("latin1");
    for (;;) {
      const [count] = this.#numbers;
      if (count !== undefined && this.#numbers.length === 1 + 2 * count) return true;
      const end = this.#digits.indexOf("\n");
      if (end < 0) break;
      this.#numbers.push(whole(this.#digits.slice(0, end), this.#name));
      this.#digits = this.#digits.slice(end + 1);
      if ((this.#numbers[0] ?? 0) > SPARSE_EXTENTS_MAX) throw malformed(this.#name);
    }
    if (this.#digits.length > DIGITS_MAX) throw malformed(this.#name);
    return false;
  }

  extents(): Extent[] {
    const found: Extent[] = [];
    for (let i = 1; i < this.#numbers.length; i += 2) {
      found.push({ offset: this.#numbers[i] ?? 0, length: this.#numbers[i + 1] ?? 0 });
    }
    return found;
  }
}

const DIGITS_MAX = 16;

function whole(text: string | undefined, name: ByteString): number {
  const value = text !== undefined && /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw malformed(name);
}

/**
 * The extents in order, when they are in order, do not overlap, lie in the file and have `stored` bytes.
 * @throws {ImageError} LAYER_ENTRY
 */
export function checkExtents(
  extents: readonly Extent[],
  size: number,
  stored: number,
  name: ByteString,
): readonly Extent[] {
  let end = 0;
  let total = 0;
  for (const { offset, length } of extents) {
    if (!(offset >= end) || !(length >= 0) || !(offset + length <= size)) throw malformed(name);
    end = offset + length;
    total += length;
  }
  if (total !== stored) throw malformed(name);
  return extents.filter(({ length }) => length > 0);
}

function malformed(name: ByteString): ImageError {
  return new ImageError("LAYER_ENTRY", `${quoted(name)} has a malformed map of holes`);
}
