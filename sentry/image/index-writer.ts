import { Builder } from "flatbuffers";
import type { ByteString } from "../abi/bytes.ts";
import { Attribute } from "./generated/layer/attribute.ts";
import { Entry } from "./generated/layer/entry.ts";
import { Index } from "./generated/layer/index.ts";
import { Inode } from "./generated/layer/inode.ts";
import { type BuildInode, LINK_BELOW } from "./layer-builder.ts";

/** Raised whenever layer.fbs changes; layers of another version are pulled again. */
export const INDEX_VERSION = 1;

/** The `kind` of an entry that is no inode of this layer; other kinds are `S_IFMT >> 12`. */
export const KIND_WHITEOUT = 0;
export const KIND_LINK_BELOW = 15;

/** The `flags` of an inode. */
export const FLAG_OPAQUE = 1;
export const FLAG_IMPLICIT = 2;

/** The `pack` of an inode. */
export const PACK_SHARED = 0;
export const PACK_PRIVATE = 1;

interface EntryRow {
  readonly nameStart: number;
  readonly nameLength: number;
  readonly inode: number;
  readonly kind: number;
}

interface AttributeRow {
  readonly nameStart: number;
  readonly nameLength: number;
  readonly valueStart: number;
  readonly valueLength: number;
}

interface InodeRow {
  readonly inode: BuildInode;
  start: number;
  count: number;
  attributesStart: number;
}

/** Grows as it is appended to. */
class Bytes {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  /** Appends a byte string or bytes; returns where they start. */
  add(value: ByteString | Uint8Array): number {
    const start = this.#length;
    this.#chunks.push(
      typeof value === "string"
        ? Buffer.from(value, "latin1")
        : Buffer.from(value.buffer, value.byteOffset, value.length),
    );
    this.#length += value.length;
    return start;
  }

  join(): Uint8Array {
    return Buffer.concat(this.#chunks, this.#length);
  }
}

/** The rows of an index: breadth first, so that the entries of a directory are consecutive. */
class Rows {
  readonly inodes: InodeRow[] = [];
  readonly entries: EntryRow[] = [];
  readonly attributes: AttributeRow[] = [];
  readonly linksBelow: number[] = [];
  readonly bytes: Bytes = new Bytes();
  readonly #numbers = new Map<BuildInode, number>();

  constructor(root: BuildInode) {
    this.#number(root);
    for (let i = 0; i < this.inodes.length; i++) {
      const row = this.inodes[i];
      if (row?.inode.children !== undefined) this.#directory(row, row.inode.children);
    }
  }

  #number(inode: BuildInode): number {
    const known = this.#numbers.get(inode);
    if (known !== undefined) return known;
    const number = this.inodes.length;
    const row: InodeRow = { inode, start: 0, count: 0, attributesStart: this.attributes.length };
    if (inode.target !== "") {
      row.start = this.bytes.add(inode.target);
      row.count = inode.target.length;
    }
    for (const [name, value] of inode.xattrs) {
      this.attributes.push({
        nameStart: this.bytes.add(name),
        nameLength: name.length,
        valueStart: this.bytes.add(value),
        valueLength: value.length,
      });
    }
    this.inodes.push(row);
    this.#numbers.set(inode, number);
    return number;
  }

  #directory(row: InodeRow, children: ReadonlyMap<ByteString, BuildInode>): void {
    row.start = this.entries.length;
    // Byte strings compare as their bytes do.
    const names = [...children.keys(), ...(row.inode.whiteouts ?? [])].sort();
    for (const name of names) {
      const child = children.get(name);
      const kind = child === undefined ? KIND_WHITEOUT : kindOf(child);
      if (kind === KIND_LINK_BELOW) this.linksBelow.push(this.entries.length);
      this.entries.push({
        nameStart: this.bytes.add(name),
        nameLength: name.length,
        inode: child === undefined ? 0 : this.#number(child),
        kind,
      });
    }
    row.count = names.length;
  }
}

function kindOf(inode: BuildInode): number {
  return inode.mode === LINK_BELOW ? KIND_LINK_BELOW : inode.mode >> 12;
}

/** A directory's `st_nlink`: its name, its `.`, and the `..` of each directory in it. */
function linkCount(inode: BuildInode): number {
  if (inode.children === undefined) return inode.nlink;
  let count = 2;
  for (const child of inode.children.values()) if (child.children !== undefined) count++;
  return count;
}

/** The finished index of a layer: see layer.fbs. */
export function encodeIndex(root: BuildInode, contentBytes: number): Uint8Array {
  const rows = new Rows(root);
  const heap = rows.bytes.join();
  const builder = new Builder(
    heap.length + 64 * rows.inodes.length + 12 * rows.entries.length + 64 * 1024,
  );
  // FlatBuffers are built back to front: each vector from its last element.
  const bytes = builder.createByteVector(heap);
  const linksBelow = Index.createLinksBelowVector(builder, rows.linksBelow);
  Index.startAttributesVector(builder, rows.attributes.length);
  for (const row of rows.attributes.toReversed()) {
    Attribute.createAttribute(
      builder,
      row.nameStart,
      row.valueStart,
      row.valueLength,
      row.nameLength,
    );
  }
  const attributes = builder.endVector();
  Index.startEntriesVector(builder, rows.entries.length);
  for (const row of rows.entries.toReversed()) {
    Entry.createEntry(builder, row.nameStart, row.inode, row.nameLength, row.kind);
  }
  const entries = builder.endVector();
  Index.startInodesVector(builder, rows.inodes.length);
  for (const row of rows.inodes.toReversed()) createInode(builder, row);
  const inodes = builder.endVector();
  Index.startIndex(builder);
  Index.addVersion(builder, INDEX_VERSION);
  Index.addInodes(builder, inodes);
  Index.addEntries(builder, entries);
  Index.addAttributes(builder, attributes);
  Index.addBytes(builder, bytes);
  Index.addLinksBelow(builder, linksBelow);
  Index.addContentBytes(builder, BigInt(contentBytes));
  Index.finishIndexBuffer(builder, Index.endIndex(builder));
  return builder.asUint8Array();
}

function createInode(builder: Builder, row: InodeRow): void {
  const { inode } = row;
  Inode.createInode(
    builder,
    inode.mtime,
    BigInt(inode.size),
    BigInt(inode.offset),
    inode.mode,
    inode.uid,
    inode.gid,
    linkCount(inode),
    inode.rdev,
    row.start,
    row.count,
    row.attributesStart,
    inode.xattrs.size,
    inode.shared ? PACK_SHARED : PACK_PRIVATE,
    (inode.opaque ? FLAG_OPAQUE : 0) | (inode.implicit ? FLAG_IMPLICIT : 0),
  );
}
