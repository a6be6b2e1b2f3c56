import { closeSync, fstatSync, openSync } from "node:fs";
import { basename, join } from "node:path";
import { ByteBuffer } from "flatbuffers";
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { mapReadOnly } from "../host/mapping.ts";
import { ImageError } from "./errors.ts";
import { Attribute } from "./generated/layer/attribute.ts";
import { Entry } from "./generated/layer/entry.ts";
import { Index } from "./generated/layer/index.ts";
import { Inode } from "./generated/layer/inode.ts";
import {
  FLAG_IMPLICIT,
  FLAG_OPAQUE,
  INDEX_VERSION,
  KIND_LINK_BELOW,
  KIND_WHITEOUT,
  PACK_SHARED,
} from "./index-writer.ts";
import { typeOfKind } from "./mode.ts";
import { MAPPABLE_MIN, PACK_NAMES } from "./pack-writer.ts";
import type { Content, ImageEntry, ImageNode, ImageTree, NodeType } from "./tree.ts";

export const INDEX_NAME = "index";
/** A layer in the store: the digest of its archive. */
const LAYER_NAME = /^[0-9a-f]{64}$/;
/** Less than any index has. */
const INDEX_BYTES_MIN = 64;

/** What a layer says about a name: an inode, that lower layers do not have it, or nothing. */
export type Finding = LayerNode | LinkBelow | typeof WHITEOUT | undefined;

/** A name that a layer takes away from the layers below. */
export const WHITEOUT: unique symbol = Symbol("whiteout");

/** A name that is a hard link to a file of a lower layer. */
export interface LinkBelow {
  readonly linkBelow: ByteString;
}

/** A name in one layer's directory, including the ones that {@link ImageNode.list} never shows. */
export interface LayerEntry {
  readonly name: ByteString;
  readonly inode: number;
  /** `S_IFMT >> 12`, {@link KIND_WHITEOUT} or {@link KIND_LINK_BELOW}. */
  readonly kind: number;
}

/** Looks up a path of the layers below; see {@link LinkBelow}. */
export type ResolveBelow = (path: ByteString) => ImageNode | undefined;

/** The tree of one layer, read in place from its memory-mapped index. */
export class LayerTree implements ImageTree {
  readonly inodeMax: number;
  readonly inodeCount: number;
  readonly contentBytes: number;
  /** What is added to an index into the layer's inodes to get an inode number. */
  readonly inodeBase: number;
  readonly resolveBelow: ResolveBelow;
  readonly #directory: string;
  readonly #index: Index;
  readonly #bytes: Buffer;
  readonly #nodes = new Map<number, LayerNode>();
  readonly #packs = new Map<string, number>();
  // One of each is enough to decode with, and nothing is allocated per look.
  readonly #entry = new Entry();
  readonly #inode = new Inode();

  /**
   * Opens the layer in host directory `directory`.
   * @param inodeBase its inode numbers begin above this
   * @throws {ImageError} STORE_IO when the layer is of another version or not a layer
   */
  constructor(directory: string, inodeBase = 0, resolveBelow: ResolveBelow = () => undefined) {
    const { index, bytes } = openIndex(join(directory, INDEX_NAME));
    this.#directory = directory;
    this.#index = index;
    this.#bytes = bytes;
    this.inodeBase = inodeBase;
    this.resolveBelow = resolveBelow;
    this.inodeCount = index.inodesLength();
    this.inodeMax = inodeBase + this.inodeCount;
    this.contentBytes = Number(index.contentBytes());
  }

  get root(): LayerNode {
    return this.node(0);
  }

  /** The paths in lower layers that hard links of this layer name. */
  linksBelow(): ByteString[] {
    const paths: ByteString[] = [];
    for (let i = 0; i < this.#index.linksBelowLength(); i++) {
      this.#index.entries(this.#index.linksBelow(i) ?? 0, this.#entry);
      paths.push(this.#pathOf(this.#entry.inode()));
    }
    return paths;
  }

  /** The node of inode `index` of this layer: always the same object. */
  node(index: number): LayerNode {
    let node = this.#nodes.get(index);
    if (node === undefined) {
      this.#index.inodes(index, this.#inode);
      node = new LayerNode(this, index, this.#inode);
      this.#nodes.set(index, node);
    }
    return node;
  }

  /** Binary search for `name` in the `count` sorted entries from `start`. */
  find(name: ByteString, start: number, count: number): Finding {
    const index = this.#index;
    const entry = this.#entry;
    let low = start;
    let high = start + count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      index.entries(middle, entry);
      const order = this.#compare(name, entry.nameStart(), entry.nameLength());
      if (order === 0) return this.#finding(entry.kind(), entry.inode());
      if (order < 0) high = middle;
      else low = middle + 1;
    }
    return undefined;
  }

  *entries(start: number, count: number): Iterable<LayerEntry> {
    for (let i = start; i < start + count; i++) {
      const entry = this.#entry;
      this.#index.entries(i, entry);
      const nameStart = entry.nameStart();
      const name = this.text(nameStart, entry.nameLength());
      yield { name, inode: entry.inode(), kind: entry.kind() };
    }
  }

  text(start: number, length: number): ByteString {
    return this.#bytes.toString("latin1", start, start + length);
  }

  attributes(start: number, count: number): Map<ByteString, Uint8Array> {
    const found = new Map<ByteString, Uint8Array>();
    const row = new Attribute();
    for (let i = start; i < start + count; i++) {
      this.#index.attributes(i, row);
      const name = this.text(row.nameStart(), row.nameLength());
      const value = this.#bytes.subarray(row.valueStart(), row.valueStart() + row.valueLength());
      found.set(name, Uint8Array.from(value));
    }
    return found;
  }

  /** The descriptor of a pack, opened when it is first needed. */
  pack(name: string): number {
    let fd = this.#packs.get(name);
    if (fd === undefined) {
      fd = openSync(join(this.#directory, name), "r");
      this.#packs.set(name, fd);
    }
    return fd;
  }

  /** See `Content.identity`: a stored layer's directory is named by its digest. */
  identityAt(offset: number, size: number): string | undefined {
    const digest = basename(this.#directory);
    if (!LAYER_NAME.test(digest)) return undefined;
    return `${digest}-${offset.toString(16)}-${size.toString(16)}`;
  }

  close(): void {
    for (const fd of this.#packs.values()) closeSync(fd);
    this.#packs.clear();
    this.#nodes.clear();
  }

  #finding(kind: number, inode: number): Finding {
    if (kind === KIND_WHITEOUT) return WHITEOUT;
    if (kind === KIND_LINK_BELOW) return { linkBelow: this.#pathOf(inode) };
    return this.node(inode);
  }

  #pathOf(inode: number): ByteString {
    this.#index.inodes(inode, this.#inode);
    return this.text(this.#inode.start(), this.#inode.count());
  }

  #compare(name: ByteString, start: number, length: number): number {
    const bytes = this.#bytes;
    const common = Math.min(name.length, length);
    for (let i = 0; i < common; i++) {
      const difference = name.charCodeAt(i) - (bytes[start + i] ?? 0);
      if (difference !== 0) return difference;
    }
    return name.length - length;
  }
}

/** Maps an index and makes sure that it is one, of our version, and not cut off. */
function openIndex(path: string): { index: Index; bytes: Buffer } {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    if (size < INDEX_BYTES_MIN) throw new ImageError("STORE_IO", `${path} is empty`);
    const mapped = mapReadOnly(fd, size);
    if (mapped instanceof Errno) throw new ImageError("STORE_IO", `${path}: ${mapped.text}`);
    const buffer = new ByteBuffer(mapped);
    if (!Index.bufferHasIdentifier(buffer)) throw new ImageError("STORE_IO", `${path} is no index`);
    const index = Index.getRootAsIndex(buffer);
    if (index.version() !== INDEX_VERSION) {
      throw new ImageError("STORE_IO", `${path} is of version ${index.version()}`);
    }
    return { index, bytes: heapOf(index, path) };
  } finally {
    closeSync(fd);
  }
}

/** The bytes of names: the last part of the file, so that a file without its end has none. */
function heapOf(index: Index, path: string): Buffer {
  try {
    const heap = index.bytesArray() ?? new Uint8Array();
    return Buffer.from(heap.buffer, heap.byteOffset, heap.length);
  } catch (error) {
    throw new ImageError("STORE_IO", `${path} is cut off`, { cause: error });
  }
}

/** An inode of one layer. */
export class LayerNode implements ImageNode {
  readonly ino: number;
  readonly type: NodeType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: bigint;
  readonly nlink: number;
  readonly rdev: number;
  readonly target: ByteString;
  /** A directory that hides what lower layers have in it. */
  readonly opaque: boolean;
  /** A directory without attributes of its own: a lower layer's count, where there is one. */
  readonly implicit: boolean;
  readonly #tree: LayerTree;
  readonly #start: number;
  readonly #count: number;
  readonly #attributesStart: number;
  readonly #attributesCount: number;
  readonly #offset: number;
  readonly #shared: boolean;

  constructor(tree: LayerTree, index: number, inode: Inode) {
    const flags = inode.flags();
    this.#tree = tree;
    this.#start = inode.start();
    this.#count = inode.count();
    this.#attributesStart = inode.attributesStart();
    this.#attributesCount = inode.attributesCount();
    this.#offset = Number(inode.offset());
    this.#shared = inode.pack() === PACK_SHARED;
    this.ino = tree.inodeBase + index + 1;
    this.mode = inode.mode();
    this.type = typeOfKind(this.mode >> 12) ?? "file";
    this.uid = inode.uid();
    this.gid = inode.gid();
    this.size = Number(inode.size());
    this.mtime = inode.mtime();
    this.nlink = inode.nlink();
    this.rdev = inode.rdev();
    this.target = this.type === "symlink" ? tree.text(this.#start, this.#count) : "";
    this.opaque = (flags & FLAG_OPAQUE) !== 0;
    this.implicit = (flags & FLAG_IMPLICIT) !== 0;
  }

  xattrs(): ReadonlyMap<ByteString, Uint8Array> {
    return this.#tree.attributes(this.#attributesStart, this.#attributesCount);
  }

  /** What this directory itself says about `name`. */
  find(name: ByteString): Finding {
    if (this.type !== "directory") return undefined;
    return this.#tree.find(name, this.#start, this.#count);
  }

  /** Everything this directory says, whiteouts included. */
  entries(): Iterable<LayerEntry> {
    return this.type === "directory" ? this.#tree.entries(this.#start, this.#count) : [];
  }

  /** What a finding in this layer stands for in the image. */
  resolve(finding: Finding): ImageNode | undefined {
    if (finding === WHITEOUT || finding === undefined) return undefined;
    return finding instanceof LayerNode ? finding : this.#tree.resolveBelow(finding.linkBelow);
  }

  lookup(name: ByteString): ImageNode | undefined {
    return this.resolve(this.find(name));
  }

  *list(): Iterable<ImageEntry> {
    for (const entry of this.entries()) {
      const shown = this.show(entry);
      if (shown !== undefined) yield shown;
    }
  }

  /** An entry of this directory as the image shows it, or undefined where it does not. */
  show({ name, inode, kind }: LayerEntry): ImageEntry | undefined {
    const type = typeOfKind(kind);
    if (type !== undefined) return { name, ino: this.#tree.inodeBase + inode + 1, type };
    const node = this.lookup(name);
    return node && { name, ino: node.ino, type: node.type };
  }

  content(): Content | undefined {
    if (this.type !== "file") return undefined;
    const pack = this.#shared ? PACK_NAMES.shared : PACK_NAMES.private;
    return {
      fd: this.#tree.pack(pack),
      offset: this.#offset,
      length: this.size,
      mappable: this.#shared && this.size >= MAPPABLE_MIN,
      identity: this.#shared ? this.#tree.identityAt(this.#offset, this.size) : undefined,
    };
  }
}
