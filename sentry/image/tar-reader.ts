import { type Extract, extract, type Header } from "tar-stream";
import type { ByteString } from "../abi/bytes.ts";
import { ImageError, quoted } from "./errors.ts";
import { LAYER_ENTRIES_MAX } from "./limits.ts";
import { decodePax, type PaxRecords, paxInteger, paxTime, paxXattrs } from "./pax.ts";

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
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Of a symlink or a hard link; else empty. */
  readonly link: ByteString;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/** Who wants to know what is in an archive. What it throws stops the reading. */
export interface TarVisitor {
  entry(entry: TarEntry): void;
  /** Some bytes of the last entry, which is a file; they stay valid. */
  content(bytes: Uint8Array): void;
}

/** `complete` says that the archive ended with its end-of-archive marker. */
export interface TarEnd {
  readonly complete: boolean;
}

const BLOCK = 512;

/** tar-stream's names for the types we keep. */
const TYPES: ReadonlyMap<string, TarEntryType> = new Map([
  ["file", "file"],
  ["contiguous-file", "file"],
  ["directory", "directory"],
  ["symlink", "symlink"],
  ["link", "hardlink"],
  ["fifo", "fifo"],
  ["character-device", "character"],
  ["block-device", "block"],
]);

/** Linux's device numbers have 12 bits of major and 20 bits of minor. */
const MAJOR_MAX = 0xfff;
const MINOR_MAX = 0xfffff;
/** The largest user or group number that is one: 2^32-1 means "none". */
const ID_MAX = 0xffff_fffe;
/** Times that fit a signed 64-bit count of nanoseconds. */
const SECONDS_MAX = 9_223_372_036;

/**
 * What we use of tar-stream beyond its documented interface. It decodes pax records as UTF-8, which
 * destroys names and attributes that are not; so that one method is replaced by ours. A test with
 * binary attributes fails should a new version of tar-stream no longer call it.
 */
interface LongHeaders {
  _header: { type: string; size: number };
  _pax: PaxRecords | null;
  _decodeLongHeader(block: Buffer): void;
}

/** A header as it comes: numbers may be NaN or negative, the type may be unknown. */
interface RawHeader extends Omit<Header, "type" | "linkname"> {
  readonly type: string | null;
  readonly linkname: ByteString | null;
  readonly byteOffset: number;
  readonly pax: PaxRecords | null;
}

/**
 * Reads a tar archive (ustar, pax or GNU) as it streams by.
 * @throws {ImageError} LAYER_CORRUPT, LAYER_TRUNCATED, LAYER_ENTRY, LAYER_LIMIT, LAYER_UNSUPPORTED,
 *   or what `source` or the visitor throws
 */
export async function readTar(
  source: AsyncIterable<Uint8Array>,
  visitor: TarVisitor,
): Promise<TarEnd> {
  const options: Parameters<typeof extract>[0] & { filenameEncoding: string } = {
    filenameEncoding: "latin1",
  };
  const parser = extract(options);
  const longHeaders = parser as unknown as LongHeaders;
  const decode = longHeaders._decodeLongHeader.bind(parser);
  let end = 0; // where the next header must be
  let total = 0;
  let entries = 0;
  let failure: unknown;

  const fail = (error: unknown): void => {
    failure ??= error;
    parser.destroy();
  };
  longHeaders._decodeLongHeader = (block) => {
    const { type, size } = longHeaders._header;
    end += BLOCK + padded(size);
    if (type === "pax-header") longHeaders._pax = guard(() => decodePax(block), fail) ?? null;
    // Global headers (git's comments) describe no file; docker ignores them too.
    else if (type !== "pax-global-header") decode(block);
  };
  parser.on("entry", (raw, stream, next) => {
    guard(() => {
      const header = raw as unknown as RawHeader;
      if (++entries > LAYER_ENTRIES_MAX) {
        throw new ImageError("LAYER_LIMIT", `more than ${LAYER_ENTRIES_MAX} entries`);
      }
      const start = header.byteOffset;
      if (start - BLOCK !== end) {
        throw new ImageError("LAYER_CORRUPT", "there are entries behind the end of the archive");
      }
      const entry = toEntry(header);
      // tar-stream skips no content after a directory, but waits for it for ever.
      if (entry.type === "directory") raw.size = 0;
      end = start + padded(entry.size);
      visitor.entry(entry);
    }, fail);
    stream.on("error", fail);
    stream.on("data", (bytes) => guard(() => visitor.content(bytes as Uint8Array), fail));
    stream.on("end", () => next());
  });
  const closed = new Promise<void>((resolve) => {
    parser.on("error", fail);
    parser.on("close", resolve);
  });

  try {
    for await (const chunk of source) {
      total += chunk.length;
      if (!parser.write(chunk)) await Promise.race([drained(parser), closed]);
      if (failure !== undefined) break;
    }
    if (failure === undefined) parser.end(null);
    await closed;
  } finally {
    parser.destroy();
  }
  if (failure !== undefined) throw parserError(failure);
  return { complete: total - end >= BLOCK };
}

function drained(parser: Extract): Promise<void> {
  return new Promise((resolve) => parser.once("drain", () => resolve()));
}

function guard<T>(run: () => T, fail: (error: unknown) => void): T | undefined {
  try {
    return run();
  } catch (error) {
    fail(error);
    return undefined;
  }
}

function parserError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ImageError || "code" in error) return error;
  const code = error.message.startsWith("Unexpected end") ? "LAYER_TRUNCATED" : "LAYER_CORRUPT";
  return new ImageError(code, error.message, { cause: error });
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function toEntry(header: RawHeader): TarEntry {
  const path = header.name;
  const type = TYPES.get(header.type ?? "");
  if (type === undefined) {
    throw new ImageError("LAYER_UNSUPPORTED", `${quoted(path)} is of an unknown kind or sparse`);
  }
  const pax = header.pax ?? undefined;
  if (pax !== undefined) refuseSparse(path, pax);
  const size = integer(path, "size", paxInteger(pax, "size") ?? header.size);
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
    link: type === "symlink" || type === "hardlink" ? (header.linkname ?? "") : "",
    major: device ? integer(path, "device", header.devmajor, MAJOR_MAX) : 0,
    minor: device ? integer(path, "device", header.devminor, MINOR_MAX) : 0,
    xattrs: paxXattrs(pax),
  };
}

/** GNU tar keeps a sparse file's map in pax records, under a name and a size that are not the file's. */
function refuseSparse(path: ByteString, pax: PaxRecords): void {
  for (const key in pax) {
    if (key.startsWith("GNU.sparse.")) {
      throw new ImageError("LAYER_UNSUPPORTED", `${quoted(path)} is sparse`);
    }
  }
}

function integer(path: ByteString, field: string, value: number | undefined, max?: number): number {
  // tar-stream reads the base-256 number -1 as the number -0.
  if (value !== undefined && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)) {
    if (max === undefined || value <= max) return value;
  }
  throw new ImageError("LAYER_ENTRY", `${quoted(path)} has a bad ${field}`);
}

function headerTime(time: Date | undefined): bigint {
  const seconds = (time?.getTime() ?? 0) / 1000;
  if (!(Math.abs(seconds) <= SECONDS_MAX)) return 0n;
  return BigInt(Math.trunc(seconds)) * 1_000_000_000n;
}
