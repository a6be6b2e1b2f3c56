import type { ByteString } from "../abi/bytes.ts";
import { ImageError } from "./errors.ts";

/** Archives are made of blocks of this many bytes: headers are one, content is padded to some. */
export const BLOCK = 512;

/** A member's header as it comes, of the formats v7, ustar, star, pax and GNU. Nothing is checked. */
export interface TarHeader {
  readonly name: ByteString;
  /** NaN where a number is malformed, negative where it says so. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds. */
  readonly mtime: number;
  /** One character; `0` also where the block has a NUL. */
  readonly typeflag: string;
  readonly linkname: ByteString;
  readonly major: number;
  readonly minor: number;
}

/** Where a field is in the block: its first byte, and how many it has. See tar(5). */
type Field = readonly [start: number, length: number];
const NAME: Field = [0, 100];
const MODE: Field = [100, 8];
const UID: Field = [108, 8];
const GID: Field = [116, 8];
const SIZE: Field = [124, 12];
const MTIME: Field = [136, 12];
const CHECKSUM: Field = [148, 8];
const TYPEFLAG: Field = [156, 1];
const LINKNAME: Field = [157, 100];
const MAGIC: Field = [257, 6];
const MAJOR: Field = [329, 8];
const MINOR: Field = [337, 8];
const PREFIX: Field = [345, 155];
/** star keeps times behind a shorter prefix, and says so at the end of the block. */
const STAR_PREFIX: Field = [345, 131];
const STAR_MAGIC: Field = [508, 4];

const BLANK = 0x20;
const ZERO = 0x30;
/** In a field for a number, the first byte of one that is binary. */
const BINARY = 0x80;
const BINARY_NEGATIVE = 0x40;

/**
 * Reads a header.
 * @returns undefined for a block of zeros, which ends an archive
 * @throws {ImageError} LAYER_CORRUPT where the checksum says that it is no header
 */
export function decodeHeader(block: Buffer): TarHeader | undefined {
  const { unsigned, signed } = sums(block);
  if (unsigned === CHECKSUM_OF_ZEROS && isZeros(block)) return undefined;
  const sum = number(block, CHECKSUM);
  if (sum !== unsigned && sum !== signed) {
    throw new ImageError("LAYER_CORRUPT", "a header has a wrong checksum");
  }
  const typeflag = raw(block, TYPEFLAG);
  return {
    name: prefixed(block, text(block, NAME)),
    mode: number(block, MODE),
    uid: number(block, UID),
    gid: number(block, GID),
    size: number(block, SIZE),
    mtime: number(block, MTIME),
    typeflag: typeflag === "\0" ? "0" : typeflag,
    linkname: text(block, LINKNAME),
    major: number(block, MAJOR),
    minor: number(block, MINOR),
  };
}

/** Only POSIX has a prefix; GNU keeps other things in its place. */
function prefixed(block: Buffer, name: ByteString): ByteString {
  if (raw(block, MAGIC) !== "ustar\0") return name;
  const prefix = text(block, raw(block, STAR_MAGIC) === "tar\0" ? STAR_PREFIX : PREFIX);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function isZeros(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

const CHECKSUM_OF_ZEROS = 8 * 0x20;

/** The sum of the block's bytes with blanks for the checksum; some old writers added signed bytes. */
function sums(block: Buffer): { unsigned: number; signed: number } {
  let unsigned = CHECKSUM_OF_ZEROS;
  let negative = 0;
  const [start, length] = CHECKSUM;
  for (let i = 0; i < BLOCK; i++) {
    if (i === start) i += length;
    const byte = block[i] ?? 0;
    unsigned += byte;
    if (byte >= 0x80) negative++;
  }
  return { unsigned, signed: unsigned - negative * 0x100 };
}

function raw(block: Buffer, [start, length]: Field): ByteString {
  return block.toString("latin1", start, start + length);
}

/** Up to a NUL, if there is one. */
function text(block: Buffer, [start, length]: Field): ByteString {
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return end === start ? "" : block.toString("latin1", start, end);
}

/** Octal digits among blanks and NULs, or GNU's binary. Of no meaning in v7, where it may be anything. */
function number(block: Buffer, field: Field): number {
  return tarNumber(block, ...field);
}

/** The number in `length` bytes of a header from `start`: NaN where it is malformed. */
export function tarNumber(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & BINARY) !== 0) return binary(block, start, length);
  const end = start + length;
  let at = start;
  while (at < end && block[at] === BLANK) at++;
  let value = 0;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0 || byte === BLANK) break;
    const digit = byte - ZERO;
    if (digit < 0 || digit > 7) return Number.NaN;
    value = value * 8 + digit;
  }
  return value;
}

/** Two's complement, big endian, in all bits but the first. */
function binary(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  const negative = (first & BINARY_NEGATIVE) !== 0;
  let value = negative ? BigInt((first & 0x7f) - 0x80) : BigInt(first & 0x7f);
  for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[start + i] ?? 0);
  return Number(value);
}
