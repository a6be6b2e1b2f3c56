/** Changes as bytes. Numbers are little-endian; strings and values are a 32-bit length and their bytes. */
import type { ByteString } from "../../abi/bytes.ts";
import type { Change, InodeRecord } from "../tree/changes.ts";

const INODE = 1;
const LINK = 2;
const UNLINK = 3;
const DROP = 4;

const HAS_BLOB = 1;
const HAS_ORIGIN = 2;

/** The changes, one after the other. */
export function encodeChanges(changes: readonly Change[]): Buffer {
  const writer = new Writer();
  for (const change of changes) encodeChange(writer, change);
  return writer.finish();
}

function encodeChange(out: Writer, change: Change): void {
  switch (change.kind) {
    case "inode":
      encodeInode(out, change);
      break;
    case "link":
      out.u8(LINK);
      out.u64(change.parent);
      out.u64(change.ino);
      out.i64(change.timeNs);
      out.string(change.name);
      break;
    case "unlink":
      out.u8(UNLINK);
      out.u8(change.whiteout ? 1 : 0);
      out.u64(change.parent);
      out.i64(change.timeNs);
      out.string(change.name);
      break;
    case "drop":
      out.u8(DROP);
      out.u64(change.ino);
      break;
  }
}

function encodeInode(out: Writer, inode: InodeRecord): void {
  out.u8(INODE);
  out.u8((inode.blob ? HAS_BLOB : 0) | (inode.origin === undefined ? 0 : HAS_ORIGIN));
  out.u64(inode.ino);
  for (const field of [inode.mode, inode.uid, inode.gid, inode.rdev, inode.nlink]) out.u32(field);
  for (const time of [inode.atimeNs, inode.mtimeNs, inode.ctimeNs, inode.btimeNs]) out.i64(time);
  out.string(inode.origin ?? "");
  out.string(inode.target);
  out.u32(inode.xattrs.size);
  for (const [name, value] of inode.xattrs) {
    out.string(name);
    out.bytes(value);
  }
}

/** The changes that {@link encodeChanges} wrote, or undefined when the bytes are anything else. */
export function decodeChanges(bytes: Uint8Array): Change[] | undefined {
  const reader = new Reader(bytes);
  const changes: Change[] = [];
  try {
    while (!reader.atEnd) changes.push(decodeChange(reader));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  return changes;
}

function decodeChange(from: Reader): Change {
  const kind = from.u8();
  switch (kind) {
    case INODE:
      return decodeInode(from);
    case LINK: {
      const [parent, ino, timeNs] = [from.u64(), from.u64(), from.i64()];
      return { kind: "link", parent, ino, timeNs, name: from.string() };
    }
    case UNLINK: {
      const whiteout = from.u8() === 1;
      const [parent, timeNs] = [from.u64(), from.i64()];
      return { kind: "unlink", parent, timeNs, whiteout, name: from.string() };
    }
    case DROP:
      return { kind: "drop", ino: from.u64() };
    default:
      throw new RangeError(`A change of kind ${kind} is unknown`);
  }
}

function decodeInode(from: Reader): InodeRecord {
  const bits = from.u8();
  const ino = from.u64();
  const [mode, uid, gid, rdev, nlink] = [
    from.u32(),
    from.u32(),
    from.u32(),
    from.u32(),
    from.u32(),
  ];
  const [atimeNs, mtimeNs, ctimeNs, btimeNs] = [from.i64(), from.i64(), from.i64(), from.i64()];
  const origin = from.string();
  const target = from.string();
  const xattrs = new Map<ByteString, Uint8Array>();
  for (let left = from.u32(); left > 0; left--) {
    const name = from.string();
    xattrs.set(name, from.bytes());
  }
  return {
    kind: "inode",
    ino,
    mode,
    uid,
    gid,
    rdev,
    nlink,
    atimeNs,
    mtimeNs,
    ctimeNs,
    btimeNs,
    blob: (bits & HAS_BLOB) !== 0,
    origin: (bits & HAS_ORIGIN) !== 0 ? origin : undefined,
    target,
    xattrs,
  };
}

class Writer {
  #buffer = Buffer.allocUnsafe(512);
  #at = 0;

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #room(count: number): void {
    if (this.#at + count <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + count));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }

  u8(value: number): void {
    this.#room(1);
    this.#at = this.#buffer.writeUInt8(value, this.#at);
  }
  u32(value: number): void {
    this.#room(4);
    this.#at = this.#buffer.writeUInt32LE(value >>> 0, this.#at);
  }
  u64(value: number): void {
    this.#room(8);
    this.#at = this.#buffer.writeBigUInt64LE(BigInt(value), this.#at);
  }
  i64(value: bigint): void {
    this.#room(8);
    this.#at = this.#buffer.writeBigInt64LE(BigInt.asIntN(64, value), this.#at);
  }
  string(value: ByteString): void {
    this.u32(value.length);
    this.#room(value.length);
    this.#at += this.#buffer.write(value, this.#at, "latin1");
  }
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw new RangeError("A change ends too early");
    this.#at += count;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }
  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }
  u64(): number {
    return Number(this.#bytes.readBigUInt64LE(this.#take(8)));
  }
  i64(): bigint {
    return this.#bytes.readBigInt64LE(this.#take(8));
  }
  string(): ByteString {
    const length = this.u32();
    const at = this.#take(length);
    return this.#bytes.toString("latin1", at, at + length);
  }
  bytes(): Uint8Array {
    const length = this.u32();
    const at = this.#take(length);
    return new Uint8Array(this.#bytes.subarray(at, at + length));
  }
}
