import type { ByteString } from "../abi/bytes.ts";
import { ImageError, quoted } from "./errors.ts";
import { LAYER_BYTES_MAX, LAYER_ENTRIES_MAX, PAX_BYTES_MAX, SPARSE_EXTENTS_MAX } from "./limits.ts";
import { decodePax, type PaxRecords, paxInteger, paxTime, paxXattrs } from "./pax.ts";
import {
  checkExtents,
  type Extent,
  gnuExtents,
  paxSparse,
  type SparseFile,
  SparseMap,
} from "./sparse.ts";
import { BLOCK, decodeHeader, type TarHeader, tarNumber } from "./tar-header.ts";

export type TarEntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "fifo"
  | "character"
  | "block";

/** One checked member of an archive. Its path and link are as the archive has them: not to be trusted. */
export interface TarEntry {
  readonly path: ByteString;
  readonly type: TarEntryType;
  /** The low twelve bits of `st_mode`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file, with its holes; else 0. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Of a symlink or a hard link; else empty. */
  readonly link: ByteString;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/**
 * Who wants to know what is in an archive. What it throws stops the reading. Everything comes in the order
 * of the archive: the bytes given to `raw` and `content` together are the archive.
 */
export interface TarVisitor {
  entry(entry: TarEntry): void;
  /** Bytes of the last entry, a file, from `offset` in it. What is left out of a sparse file is zeros. */
  content(bytes: Uint8Array, offset: number): void;
  /** What is no content: headers, padding, the end. */
  raw?(bytes: Uint8Array): void;
}

/** `complete` says that the archive ended with its end-of-archive marker. */
export interface TarEnd {
  readonly complete: boolean;
  /** It stops after the bytes of its last member, whose last block is not filled up. */
  readonly inPadding: boolean;
}

const TYPES: ReadonlyMap<string, TarEntryType> = new Map([
  ["0", "file"],
  ["1", "hardlink"],
  ["2", "symlink"],
  ["3", "character"],
  ["4", "block"],
  ["5", "directory"],
  ["6", "fifo"],
  ["7", "file"], // a contiguous one
  ["S", "file"], // a sparse one of GNU's
]);

/** Headers that say something about the next member, or about none that we know. */
const EXTENSIONS = new Set(["x", "g", "L", "N", "K"]);

/** Where a GNU header has its map of holes and how much room there is; an extension is only such a map. */
const GNU_SPARSE = { map: 386, room: 4, more: 482, size: [483, 12] } as const;
const GNU_SPARSE_MORE = { map: 0, room: 21, more: 504 } as const;

/** Linux's device numbers have 12 bits of major and 20 bits of minor. */
const MAJOR_MAX = 0xfff;
const MINOR_MAX = 0xfffff;
/** The largest user or group number that is one: 2^32-1 means "none". */
const ID_MAX = 0xffff_fffe;
/** Times that fit a signed 64-bit count of nanoseconds. */
const SECONDS_MAX = 9_223_372_036;

/**
 * Reads a tar archive (v7, ustar, pax or GNU, with sparse files) as it streams by.
 * @throws {ImageError} LAYER_CORRUPT, LAYER_TRUNCATED, LAYER_ENTRY, LAYER_LIMIT, LAYER_UNSUPPORTED,
 *   or what `source` or the visitor throws
 */
export async function readTar(
  source: AsyncIterable<Uint8Array>,
  visitor: TarVisitor,
): Promise<TarEnd> {
  const parser = new TarParser(visitor);
  for await (const chunk of source) parser.push(chunk);
  return parser.end();
}

/** What the next bytes are: `bytes` of them, to be had as a whole or as they come. */
type Part =
  | { readonly whole: (bytes: Buffer) => void; readonly bytes: number }
  | { readonly pieces: (bytes: Uint8Array) => void; bytes: number; readonly then: () => void };

/** A tar archive that is pushed through, piece by piece. */
class TarParser {
  readonly #visitor: TarVisitor;
  readonly #headerPart: Part = this.#block((block) => this.#header(block));
  #part: Part = this.#headerPart;
  /** What fills up the last block of a member. */
  #paddingPart: Part | undefined;
  /** The beginning of a part that is wanted as a whole. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #entries = 0;
  #extensions = 0;
  /** Blocks of zeros have come: nothing else may follow. */
  #ended = false;
  #pax: PaxRecords | undefined;
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      const part = this.#part;
      const taken = rest.subarray(0, part.bytes - this.#keptBytes);
      rest = rest.subarray(taken.length);
      if ("whole" in part) this.#keep(part, taken);
      else {
        part.bytes -= taken.length;
        part.pieces(taken);
        if (part.bytes === 0) part.then();
      }
    }
  }

  /** @throws {ImageError} LAYER_TRUNCATED */
  end(): TarEnd {
    const isBetween = this.#part === this.#headerPart && this.#keptBytes === 0;
    const inPadding = this.#part === this.#paddingPart;
    if ((!isBetween && !inPadding) || this.#hasExtension()) {
      throw new ImageError("LAYER_TRUNCATED", "the archive ends within a member");
    }
    return { complete: this.#ended, inPadding };
  }

  #keep(part: Part & { whole: (bytes: Buffer) => void }, taken: Uint8Array): void {
    if (taken.length < part.bytes) {
      this.#kept.push(taken);
      this.#keptBytes += taken.length;
      if (this.#keptBytes < part.bytes) return;
    }
    const bytes =
      this.#kept.length === 0
        ? Buffer.from(taken.buffer, taken.byteOffset, taken.length)
        : Buffer.concat(this.#kept, this.#keptBytes);
    this.#kept = [];
    this.#keptBytes = 0;
    this.#visitor.raw?.(bytes);
    part.whole(bytes);
  }

  #block(take: (block: Buffer) => void): Part {
    return { whole: take, bytes: BLOCK };
  }

  /** Whatever was said about the next member. */
  #hasExtension(): boolean {
    return [this.#pax, this.#longName, this.#longLink].some((each) => each !== undefined);
  }

  #nextHeader(): void {
    this.#part = this.#headerPart;
  }

  #header(block: Buffer): void {
    const header = this.#ended ? afterEnd(block) : decodeHeader(block);
    if (header === undefined) {
      if (this.#hasExtension()) throw new ImageError("LAYER_TRUNCATED", "a member is missing");
      this.#ended = true;
    } else if (EXTENSIONS.has(header.typeflag)) this.#extension(header);
    else this.#member(header, block);
  }

  #extension({ typeflag, size, name }: TarHeader): void {
    const length = integer(name, "size", size);
    if (length > PAX_BYTES_MAX) {
      throw new ImageError("LAYER_LIMIT", `an extended header of ${length} bytes`);
    }
    if (++this.#extensions > EXTENSIONS_MAX) throw tooMany();
    const whole = (bytes: Buffer): void => {
      this.#nextHeader();
      const text = bytes.subarray(0, length);
      if (typeflag === "x") this.#pax = decodePax(text);
      else if (typeflag === "K") this.#longLink = untilNul(text);
      else if (typeflag !== "g") this.#longName = untilNul(text);
      // Global headers (git's comments) describe no file; docker ignores them too.
    };
    if (length === 0) whole(Buffer.alloc(0));
    else this.#part = { whole, bytes: padded(length) };
  }

  #member(header: TarHeader, block: Buffer): void {
    if (++this.#entries > LAYER_ENTRIES_MAX) throw tooMany();
    const pax = this.#pax;
    const path = pax?.["path"] || this.#longName || header.name;
    const link = pax?.["linkpath"] || this.#longLink || header.linkname;
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    const stored = integer(path, "size", paxInteger(pax, "size") ?? header.size);
    const sparse = pax && paxSparse(pax, path);
    const entry = toEntry({ ...header, name: sparse?.name ?? path, linkname: link }, pax, stored);
    if (entry.type !== "file") {
      this.#visitor.entry(entry);
      this.#nextHeader();
    } else if (header.typeflag === "S") this.#gnuSparse(entry, stored, block);
    else if (sparse !== undefined) this.#paxSparse(entry, stored, sparse);
    else {
      this.#visitor.entry(entry);
      this.#content([{ offset: 0, length: stored }], stored);
    }
  }

  /** The map begins in the header, and goes on in blocks that the size does not count. */
  #gnuSparse(entry: TarEntry, stored: number, header: Buffer): void {
    const { path } = entry;
    const size = integer(path, "size", tarNumber(header, ...GNU_SPARSE.size));
    const extents = gnuExtents(header, GNU_SPARSE.map, GNU_SPARSE.room);
    const more = (again: boolean): void => {
      if (again) {
        if (extents.length > SPARSE_EXTENTS_MAX) throw tooMany();
        this.#part = this.#block((block) => {
          extents.push(...gnuExtents(block, GNU_SPARSE_MORE.map, GNU_SPARSE_MORE.room));
          more(block[GNU_SPARSE_MORE.more] !== 0);
        });
      } else this.#sparse({ ...entry, size }, extents, stored, padded(stored) - stored);
    };
    more(header[GNU_SPARSE.more] !== 0);
  }

  #paxSparse(entry: TarEntry, stored: number, { size, extents }: SparseFile): void {
    const file = { ...entry, size };
    if (extents !== undefined) {
      this.#sparse(file, extents, stored, padded(stored) - stored);
      return;
    }
    const map = new SparseMap(entry.path);
    let left = stored;
    const take = (block: Buffer): void => {
      left -= BLOCK;
      if (map.add(block)) this.#sparse(file, map.extents(), left, padded(left) - left);
      else if (left < BLOCK)
        throw new ImageError("LAYER_ENTRY", `${quoted(entry.path)} is cut off`);
      else this.#part = this.#block(take);
    };
    if (left < BLOCK) throw new ImageError("LAYER_ENTRY", `${quoted(entry.path)} is cut off`);
    this.#part = this.#block(take);
  }

  #sparse(entry: TarEntry, map: readonly Extent[], stored: number, padding: number): void {
    if (entry.size > LAYER_BYTES_MAX) {
      throw new ImageError("LAYER_LIMIT", `${quoted(entry.path)} has ${entry.size} bytes`);
    }
    const extents = checkExtents(map, entry.size, stored, entry.path);
    this.#visitor.entry(entry);
    this.#content(extents, stored, padding);
  }

  /** The pieces of a file, one after the other, and what fills up the last block. */
  #content(extents: readonly Extent[], stored: number, padding = padded(stored) - stored): void {
    if (stored === 0) {
      this.#nextHeader();
      return;
    }
    let at = 0;
    let done = 0;
    const pieces = (bytes: Uint8Array): void => {
      for (let rest = bytes; rest.length > 0; ) {
        const { offset, length } = extents[at] ?? { offset: 0, length: 0 };
        const piece = rest.subarray(0, length - done);
        this.#visitor.content(piece, offset + done);
        done += piece.length;
        rest = rest.subarray(piece.length);
        if (done < length) continue;
        at++;
        done = 0;
      }
    };
    const then = (): void => {
      if (padding === 0) this.#nextHeader();
      else {
        this.#paddingPart = { whole: () => this.#nextHeader(), bytes: padding };
        this.#part = this.#paddingPart;
      }
    };
    this.#part = { pieces, bytes: stored, then };
  }
}

/** A member may have three: records, a long name and a long target. */
const EXTENSIONS_MAX = 3 * LAYER_ENTRIES_MAX;

function tooMany(): ImageError {
  return new ImageError("LAYER_LIMIT", `more than ${LAYER_ENTRIES_MAX} entries`);
}

/** Whatever is there after the end, other tools read differently than we do. */
function afterEnd(block: Buffer): undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  throw new ImageError("LAYER_CORRUPT", "there are entries behind the end of the archive");
}

function untilNul(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function toEntry(header: TarHeader, pax: PaxRecords | undefined, size: number): TarEntry {
  const path = header.name;
  const type = typeOf(header);
  if (size > 0 && type !== "file" && type !== "directory") {
    throw new ImageError("LAYER_ENTRY", `${quoted(path)} is a ${type} with content`);
  }
  const device = type === "character" || type === "block";
  return {
    path,
    type,
    mode: integer(path, "mode", header.mode) & 0o7777,
    uid: integer(path, "uid", paxInteger(pax, "uid") ?? header.uid, ID_MAX),
    gid: integer(path, "gid", paxInteger(pax, "gid") ?? header.gid, ID_MAX),
    size: type === "file" ? size : 0,
    mtime: paxTime(pax, "mtime") ?? headerTime(header.mtime),
    link: type === "symlink" || type === "hardlink" ? header.linkname : "",
    major: device ? integer(path, "device", header.major, MAJOR_MAX) : 0,
    minor: device ? integer(path, "device", header.minor, MINOR_MAX) : 0,
    xattrs: paxXattrs(pax),
  };
}

function typeOf({ name, typeflag }: TarHeader): TarEntryType {
  const type = TYPES.get(typeflag);
  if (type === undefined) {
    throw new ImageError("LAYER_UNSUPPORTED", `${quoted(name)} is of an unknown kind`);
  }
  // Old archives have directories as files whose names end so.
  return typeflag === "0" && name.endsWith("/") ? "directory" : type;
}

function integer(path: ByteString, field: string, value: number | undefined, max?: number): number {
  if (value !== undefined && Number.isSafeInteger(value) && value >= 0) {
    if (max === undefined || value <= max) return value;
  }
  throw new ImageError("LAYER_ENTRY", `${quoted(path)} has a bad ${field}`);
}

function headerTime(seconds: number): bigint {
  if (!(Math.abs(seconds) <= SECONDS_MAX)) return 0n;
  return BigInt(Math.trunc(seconds)) * 1_000_000_000n;
}
