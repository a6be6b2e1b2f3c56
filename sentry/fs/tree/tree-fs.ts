import type { ByteString } from "../../abi/bytes.ts";
import { ENOSPC, Errno } from "../../abi/errno.ts";
import { S_IFDIR } from "../../abi/file.ts";
import { closeFd } from "../../host/fs.ts";
import type { ImageNode } from "../../image/tree.ts";
import { wallClockNs } from "../../vfs/clock.ts";
import { FileSystem, type Statfs } from "../../vfs/inode.ts";
import type { BlobDirectory } from "./blobs.ts";
import type { Change, ChangeLog } from "./changes.ts";
import type { Lower } from "./lower.ts";
import { type Attributes, type Origin, TreeInode } from "./tree-inode.ts";

/** Most inodes of a tree that says nothing else: each takes about a kilobyte of the sentry's memory. */
const INODE_MAX = 1 << 22;

/** What a tree consists of. */
export interface TreeOptions {
  /** `tmpfs` or `overlay`. */
  readonly type: ByteString;
  /** Magic number for statfs(2). */
  readonly magic: number;
  /** Where the bytes go; owned. */
  readonly blobs: BlobDirectory;
  /** What lies below; owned. Without one the tree starts empty. */
  readonly lower?: Lower | undefined;
  /** Where changes are recorded; without one they are forgotten at the end. */
  readonly log?: ChangeLog | undefined;
  /** Most bytes of content, and most inodes. */
  readonly sizeLimit?: number | undefined;
  readonly inodeLimit?: number | undefined;
  /** Permission bits of an empty tree's root. */
  readonly rootMode?: number | undefined;
  readonly rootUid?: number | undefined;
  readonly rootGid?: number | undefined;
  /** What /proc/mounts tells beside the flags. */
  readonly mountOptions?: string | undefined;
}

/**
 * A writable file system in the sentry's memory with its bytes in host files: a tmpfs, and above a lower
 * tree an overlay. Inodes of the lower tree appear when they are looked up, and become the tree's own when
 * they change.
 */
export class TreeFs extends FileSystem {
  readonly type: ByteString;
  readonly root: TreeInode;
  readonly blobs: BlobDirectory;
  readonly lower: Lower | undefined;
  readonly sizeLimit: number;
  override readonly options: ByteString;
  readonly #inodeLimit: number;
  readonly #magic: number;
  #log: ChangeLog | undefined;
  /** Faces of lower inodes; those that have changed are kept alive by {@link #kept}. */
  readonly #faces = new WeakMap<ImageNode, TreeInode>();
  readonly #kept = new Map<number, TreeInode>();
  #nextIno: number;
  #usedBytes = 0;
  #usedInodes = 1;

  constructor(options: TreeOptions) {
    super();
    this.type = options.type;
    this.#magic = options.magic;
    this.blobs = options.blobs;
    this.lower = options.lower;
    this.#log = options.log;
    this.sizeLimit = options.sizeLimit ?? Number.POSITIVE_INFINITY;
    this.#inodeLimit = options.inodeLimit ?? INODE_MAX;
    this.options = options.mountOptions ?? "";
    this.#nextIno = (options.lower?.inodeMax ?? 1) + 1;
    this.root =
      options.lower === undefined
        ? new TreeInode(this, 1, {
            mode: S_IFDIR | (options.rootMode ?? 0o755),
            uid: options.rootUid ?? 0,
            gid: options.rootGid ?? 0,
            rdev: 0,
            nlink: 1,
            timeNs: wallClockNs(),
            target: "",
          })
        : face(this, options.lower.root, undefined);
    if (options.lower !== undefined) this.#faces.set(options.lower.root, this.root);
  }

  /** The writable face of a lower inode found as `name` in `parent`. */
  fromLower(node: ImageNode, parent: TreeInode, name: ByteString): TreeInode {
    let inode = this.#faces.get(node) ?? this.#kept.get(node.ino);
    if (inode === undefined) {
      inode = face(this, node, { parent, name });
      this.#faces.set(node, inode);
    }
    return inode;
  }

  /** A new inode without a name. @returns `ENOSPC`. */
  make(attributes: Attributes): TreeInode | Errno {
    if (this.#usedInodes >= this.#inodeLimit) return ENOSPC;
    this.#usedInodes++;
    return new TreeInode(this, this.#nextIno++, attributes);
  }

  /** Takes back {@link make}. */
  unmake(inode: TreeInode): void {
    this.#usedInodes--;
    if (inode.made !== undefined) closeFd(inode.made);
    if (inode.blob) this.blobs.remove(inode.ino);
  }

  /** Records changes, if this tree records any, before they are made. */
  record(changes: () => readonly Change[]): Errno | undefined {
    return this.#log?.append(changes());
  }

  /** Lets a recorded inode live without anybody looking at it. */
  keep(inode: TreeInode): void {
    this.#kept.set(inode.ino, inode);
  }

  /** An inode that is kept, by number. */
  kept(ino: number): TreeInode | undefined {
    return ino === this.root.ino ? this.root : this.#kept.get(ino);
  }

  /** How long the inode's blob may become. */
  roomFor(inode: TreeInode): number {
    return this.sizeLimit - this.#usedBytes + (inode.blob ? inode.size : 0);
  }

  /** Whether `size` bytes may take the place of what the inode has. */
  hasRoom(inode: TreeInode, size: number): boolean {
    return size <= this.roomFor(inode);
  }

  /** The blob of the inode has `size` bytes now; {@link TreeInode.size} still says what it had. */
  account(inode: TreeInode, size: number): void {
    if (this.sizeLimit !== Number.POSITIVE_INFINITY) this.#usedBytes += size - inode.size;
  }

  /** Forgets an inode without names when nobody has it open. */
  dropIfUnused(inode: TreeInode): void {
    if (inode.nlink > 0 || inode.opens > 0) return;
    if (inode.saved) this.record(() => [{ kind: "drop", ino: inode.ino }]);
    inode.saved = false;
    this.#kept.delete(inode.ino);
    if (inode.blob) {
      this.account(inode, 0);
      this.blobs.remove(inode.ino);
      inode.blob = false;
      inode.size = 0;
    }
    if (inode.lower === undefined) this.#usedInodes--;
  }

  statfs(): Statfs | Errno {
    const bsize = 4096;
    if (this.sizeLimit === Number.POSITIVE_INFINITY) {
      const host = this.blobs.statfs();
      if (host instanceof Errno) return host;
      return { ...host, type: this.#magic, ...this.#inodeCounts() };
    }
    const blocks = Math.floor(this.sizeLimit / bsize);
    const free = Math.max(0, blocks - Math.ceil(this.#usedBytes / bsize));
    return {
      type: this.#magic,
      bsize,
      blocks,
      bfree: free,
      bavail: free,
      ...this.#inodeCounts(),
    };
  }

  #inodeCounts(): { readonly files: number; readonly ffree: number } {
    const files = this.#inodeLimit;
    return { files, ffree: Math.max(0, files - this.#usedInodes) };
  }

  override sync(): Errno | undefined {
    return this.#log === undefined ? undefined : (this.#log.sync() ?? this.blobs.sync());
  }

  /** Makes the log durable, for fsync(2) of one file. */
  syncLog(): Errno | undefined {
    return this.#log?.sync();
  }

  override release(): void {
    this.#log?.close(() => this.snapshot());
    if (this.#log === undefined) this.blobs.sweep(() => false);
    this.#log = undefined;
    this.blobs.close();
    this.lower?.close();
  }

  /** Everything that makes this tree different from its lower one, as changes to apply to that. */
  *snapshot(): Generator<Change> {
    const inodes = [...new Set(this.#kept.values())].filter((inode) => inode.nlink > 0);
    for (const inode of inodes) {
      if (inode.blob) inode.refresh();
      yield inode.record();
    }
    for (const inode of inodes) {
      for (const [name, child] of inode.children ?? []) {
        const at = { parent: inode.ino, name, timeNs: inode.mtimeNs };
        if (child === null) yield { kind: "unlink", whiteout: true, ...at };
        else yield { kind: "link", ino: child.ino, ...at };
      }
    }
  }

  /** Replays recorded changes into a tree that nobody uses yet; see `upper/replay.ts`. */
  adopt(inode: TreeInode, node: ImageNode | undefined): void {
    if (node !== undefined) {
      this.#faces.set(node, inode);
      // The host's own files can have been replaced meanwhile: the new one gets what the old one had.
      this.#kept.set(node.ino, inode);
    }
    this.#kept.set(inode.ino, inode);
    this.#usedInodes++;
    this.#nextIno = Math.max(this.#nextIno, inode.ino + 1);
  }

  /** Undoes {@link adopt}. */
  abandon(ino: number): void {
    if (this.#kept.delete(ino)) this.#usedInodes--;
  }

  /** All kept inodes. */
  keptInodes(): Iterable<TreeInode> {
    return this.#kept.values();
  }
}

function face(fs: TreeFs, node: ImageNode, origin: Origin | undefined): TreeInode {
  const attributes = {
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    rdev: node.rdev,
    nlink: Math.max(1, node.nlink),
    timeNs: node.mtime,
    target: node.target,
  };
  return new TreeInode(fs, node.ino, attributes, node, origin);
}
