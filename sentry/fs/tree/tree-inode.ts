import type { ByteString } from "../../abi/bytes.ts";
import {
  E2BIG,
  EEXIST,
  EISDIR,
  EMLINK,
  ENODATA,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  Errno,
} from "../../abi/errno.ts";
import {
  direntType,
  RENAME_EXCHANGE,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  XATTR_CREATE,
  XATTR_REPLACE,
} from "../../abi/file.ts";
import type { ImageNode, NodeType } from "../../image/tree.ts";
import { wallClockNs } from "../../vfs/clock.ts";
import { DirectoryFile } from "../../vfs/file.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import {
  type AttributeChange,
  type Birth,
  type DirectoryEntry,
  Inode,
  type Stat,
} from "../../vfs/inode.ts";
import type { Path } from "../../vfs/mount.ts";
import type { OpenFile } from "../../vfs/open-file.ts";
import type { Change, InodeRecord } from "./changes.ts";
import { createBlob, openRegular, resize } from "./regular.ts";
import type { TreeFs } from "./tree-fs.ts";

/** LINK_MAX of ext4. */
const LINK_MAX = 65000;
/** XATTR_SIZE_MAX over all attributes of one inode. */
const XATTR_TOTAL_MAX = 65536;
const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

const TYPES: Record<NodeType, number> = {
  file: 8,
  directory: 4,
  symlink: 10,
  fifo: 1,
  character: 2,
  block: 6,
};

/** A place in the lower tree: names joined by `/`, or a name in a directory's own place. */
export type Origin = ByteString | { readonly parent: TreeInode; readonly name: ByteString };

/** Attributes an inode starts with. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly nlink: number;
  readonly timeNs: bigint;
  readonly target: ByteString;
}

/**
 * An inode of a {@link TreeFs}: made in it, or the writable face of one of the lower tree. Every change is
 * recorded in the tree's log before it is made, so that a failure leaves everything as it was.
 */
export class TreeInode extends Inode {
  readonly fs: TreeFs;
  readonly ino: number;
  mode: number;
  uid: number;
  gid: number;
  readonly #rdev: number;
  nlink: number;
  atimeNs: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
  btimeNs: bigint;
  readonly target: ByteString;
  xattrs: ReadonlyMap<ByteString, Uint8Array> = NO_XATTRS;
  /** Of a directory: names made here, and with null the names of `lower` that are hidden. */
  children: Map<ByteString, TreeInode | null> | undefined;
  #subdirectories = 0;
  /** What it looks through to: merged directory entries, or bytes as long as there is no blob. */
  lower: ImageNode | undefined;
  /** Where in the lower tree it comes from. */
  readonly origin: Origin | undefined;
  /** Whether the log knows the inode. */
  saved = false;
  /** Whether the bytes are in the blob with its number. */
  blob = false;
  /** Length in bytes as of the last look; see `regular.ts`. */
  size = 0;
  blocks = 0;
  /** Open files, and how many of them may change the bytes. */
  opens = 0;
  writers = 0;
  /** A descriptor that can change the bytes has left the sentry's sight: look at the host every time. */
  shared = false;
  /** The descriptor its blob was made with, for the open(2) that makes the file. */
  made: number | undefined;
  /** Whether `size`, `blocks` and `mtimeNs` are those of the blob. */
  fresh = true;

  constructor(fs: TreeFs, ino: number, attributes: Attributes, lower?: ImageNode, origin?: Origin) {
    super();
    this.fs = fs;
    this.ino = ino;
    this.mode = attributes.mode;
    this.uid = attributes.uid;
    this.gid = attributes.gid;
    this.#rdev = attributes.rdev;
    this.nlink = attributes.nlink;
    this.atimeNs = attributes.timeNs;
    this.mtimeNs = attributes.timeNs;
    this.ctimeNs = attributes.timeNs;
    this.btimeNs = attributes.timeNs;
    this.target = attributes.target;
    this.lower = lower;
    this.origin = origin;
    if (lower !== undefined) {
      this.size = lower.size;
      this.blocks = Math.ceil(lower.size / 512);
      this.xattrs = lower.xattrs();
    }
  }

  override get rdev(): number {
    return this.#rdev;
  }

  stat(): Stat {
    const type = this.type;
    if (type === S_IFREG && this.blob) this.refresh();
    return {
      dev: this.fs.dev,
      ino: this.ino,
      mode: this.mode,
      nlink: type === S_IFDIR ? this.#directoryLinks() : this.nlink,
      uid: this.uid,
      gid: this.gid,
      rdev: this.#rdev,
      size: type === S_IFREG ? this.size : type === S_IFDIR ? 4096 : this.target.length,
      blksize: 4096,
      blocks: type === S_IFREG ? this.blocks : type === S_IFDIR ? 8 : 0,
      atimeNs: this.atimeNs,
      mtimeNs: this.mtimeNs,
      ctimeNs: this.ctimeNs > this.mtimeNs || type !== S_IFREG ? this.ctimeNs : this.mtimeNs,
      btimeNs: this.btimeNs,
    };
  }

  #directoryLinks(): number {
    if (this.nlink === 0) return 0;
    // Of a merged directory nobody has counted the subdirectories: 1 says so, as overlayfs does.
    return this.lower === undefined ? 2 + this.#subdirectories : 1;
  }

  /** Takes length and time from the blob when somebody may have changed them. */
  refresh(): void {
    if (this.fresh && this.writers === 0 && !this.shared) return;
    const stat = this.fs.blobs.stat(this.ino);
    if (stat instanceof Errno) return;
    this.fs.account(this, stat.size);
    this.size = stat.size;
    this.blocks = stat.blocks;
    this.mtimeNs = stat.mtimeNs;
    this.fresh = true;
  }

  override lookup(name: ByteString): TreeInode | Errno {
    if (this.type !== S_IFDIR) return ENOTDIR;
    const own = this.children?.get(name);
    if (own !== undefined) return own ?? ENOENT;
    const below = this.lower?.lookup(name);
    return below === undefined ? ENOENT : this.fs.fromLower(below, this, name);
  }

  override *entries(): Generator<DirectoryEntry> {
    for (const [name, child] of this.children ?? []) {
      if (child !== null) yield { name, ino: child.ino, type: direntType(child.mode) };
    }
    if (this.lower === undefined) return;
    for (const { name, ino, type } of this.lower.list()) {
      if (this.children?.has(name) !== true) yield { name, ino, type: TYPES[type] };
    }
  }

  override mknod(name: ByteString, birth: Birth, rdev: number): TreeInode | Errno {
    return this.#make(name, birth, rdev, "");
  }

  /** Makes the file with its blob, and keeps that open for the open(2) that follows. */
  override create(name: ByteString, birth: Birth, flags: number): TreeInode | Errno {
    return this.#make(name, birth, 0, "", flags);
  }

  override mkdir(name: ByteString, birth: Birth): TreeInode | Errno {
    return this.#make(name, birth, 0, "");
  }

  override symlink(name: ByteString, target: ByteString, birth: Birth): TreeInode | Errno {
    return this.#make(name, birth, 0, target);
  }

  #make(
    name: ByteString,
    birth: Birth,
    rdev: number,
    target: ByteString,
    openFlags?: number,
  ): TreeInode | Errno {
    if (this.nlink === 0) return ENOENT;
    const timeNs = wallClockNs();
    const made = this.fs.make({ ...birth, rdev, nlink: 1, timeNs, target });
    if (made instanceof Errno) return made;
    const refused = openFlags === undefined ? undefined : createBlob(made, openFlags);
    if (refused !== undefined) {
      this.fs.unmake(made);
      return refused;
    }
    const failed = this.fs.record(() => [
      ...this.saving(),
      made.record(),
      { kind: "link", parent: this.ino, name, ino: made.ino, timeNs },
    ]);
    if (failed !== undefined) {
      this.fs.unmake(made);
      return failed;
    }
    this.markSaved();
    made.markSaved();
    this.enter(name, made, timeNs);
    return made;
  }

  override tmpfile(birth: Birth): TreeInode | Errno {
    return this.fs.make({ ...birth, rdev: 0, nlink: 0, timeNs: wallClockNs(), target: "" });
  }

  override link(name: ByteString, inode: Inode): Errno | undefined {
    if (this.nlink === 0) return ENOENT;
    const other = inode as TreeInode;
    if (other.nlink >= LINK_MAX) return EMLINK;
    const timeNs = wallClockNs();
    const failed = this.fs.record(() => [
      ...this.saving(),
      other.record({ nlink: other.nlink + 1, ctimeNs: timeNs }),
      { kind: "link", parent: this.ino, name, ino: other.ino, timeNs },
    ]);
    if (failed !== undefined) return failed;
    this.markSaved();
    other.markSaved();
    other.nlink++;
    other.ctimeNs = timeNs;
    this.enter(name, other, timeNs);
    return undefined;
  }

  override unlink(name: ByteString): Errno | undefined {
    const victim = this.lookup(name);
    if (victim instanceof Errno) return victim;
    if (victim.type === S_IFDIR) return EISDIR;
    return this.#remove(name, victim);
  }

  override rmdir(name: ByteString): Errno | undefined {
    const victim = this.lookup(name);
    if (victim instanceof Errno) return victim;
    if (victim.type !== S_IFDIR) return ENOTDIR;
    return victim.isEmpty() ? this.#remove(name, victim) : ENOTEMPTY;
  }

  #remove(name: ByteString, victim: TreeInode): Errno | undefined {
    const timeNs = wallClockNs();
    const failed = this.fs.record(() => [
      ...this.saving(),
      this.#unlinking(name, timeNs),
      ...victim.losing(timeNs),
    ]);
    if (failed !== undefined) return failed;
    this.markSaved();
    this.erase(name, timeNs);
    victim.lost(timeNs);
    return undefined;
  }

  isEmpty(): boolean {
    return this.entries().next().done === true;
  }

  override rename(
    name: ByteString,
    newParent: Inode,
    newName: ByteString,
    flags: number,
  ): Errno | undefined {
    const to = newParent as TreeInode;
    const moving = this.lookup(name);
    if (moving instanceof Errno) return moving;
    const found = to.lookup(newName);
    const replaced = found instanceof Errno ? undefined : found;
    const timeNs = wallClockNs();
    if ((flags & RENAME_EXCHANGE) !== 0) {
      return replaced === undefined
        ? ENOENT
        : this.#exchange(name, moving, to, newName, replaced, timeNs);
    }
    if (replaced !== undefined && replaced.type === S_IFDIR && !replaced.isEmpty())
      return ENOTEMPTY;
    const failed = this.fs.record(() => [
      ...this.saving(),
      ...to.saving(),
      moving.record({ ctimeNs: timeNs }),
      this.#unlinking(name, timeNs),
      { kind: "link", parent: to.ino, name: newName, ino: moving.ino, timeNs },
      ...(replaced?.losing(timeNs) ?? []),
    ]);
    if (failed !== undefined) return failed;
    this.markSaved();
    to.markSaved();
    moving.markSaved();
    this.erase(name, timeNs);
    if (replaced !== undefined) to.erase(newName, timeNs);
    to.enter(newName, moving, timeNs);
    moving.ctimeNs = timeNs;
    replaced?.lost(timeNs);
    return undefined;
  }

  #exchange(
    name: ByteString,
    inode: TreeInode,
    to: TreeInode,
    newName: ByteString,
    other: TreeInode,
    timeNs: bigint,
  ): Errno | undefined {
    const failed = this.fs.record(() => [
      ...this.saving(),
      ...to.saving(),
      inode.record({ ctimeNs: timeNs }),
      other.record({ ctimeNs: timeNs }),
      { kind: "link", parent: to.ino, name: newName, ino: inode.ino, timeNs },
      { kind: "link", parent: this.ino, name, ino: other.ino, timeNs },
    ]);
    if (failed !== undefined) return failed;
    for (const saved of [this, to, inode, other]) saved.markSaved();
    this.erase(name, timeNs);
    to.erase(newName, timeNs);
    this.enter(name, other, timeNs);
    to.enter(newName, inode, timeNs);
    return undefined;
  }

  override readlink(_actor: Actor): ByteString | Errno {
    return this.target;
  }

  override setattr(change: AttributeChange): Errno | undefined {
    if (change.size !== undefined) {
      const failed = resize(this, change.size);
      if (failed !== undefined) return failed;
      if (change.mode === undefined) return undefined;
    }
    const ctimeNs = wallClockNs();
    const mode = change.mode === undefined ? this.mode : (this.mode & S_IFMT) | change.mode;
    const {
      uid = this.uid,
      gid = this.gid,
      atimeNs = this.atimeNs,
      mtimeNs = this.mtimeNs,
    } = change;
    const next = { mode, uid, gid, atimeNs, mtimeNs, ctimeNs };
    const failed = this.fs.record(() => [this.record(next)]);
    if (failed !== undefined) return failed;
    if (change.mtimeNs !== undefined && this.blob) {
      this.fs.blobs.setTimes(this.ino, undefined, change.mtimeNs);
    }
    this.markSaved();
    Object.assign(this, next);
    return undefined;
  }

  override getxattr(name: ByteString): Uint8Array | Errno {
    return this.xattrs.get(name) ?? ENODATA;
  }

  override listxattr(): readonly ByteString[] {
    return [...this.xattrs.keys()];
  }

  override setxattr(name: ByteString, value: Uint8Array, flags: number): Errno | undefined {
    const exists = this.xattrs.has(name);
    if (exists && (flags & XATTR_CREATE) !== 0) return EEXIST;
    if (!exists && (flags & XATTR_REPLACE) !== 0) return ENODATA;
    if (value.length > XATTR_TOTAL_MAX) return E2BIG;
    const xattrs = new Map(this.xattrs).set(name, value);
    let total = 0;
    for (const [key, bytes] of xattrs) total += key.length + bytes.length;
    return total > XATTR_TOTAL_MAX ? ENOSPC : this.#changeXattrs(xattrs);
  }

  override removexattr(name: ByteString): Errno | undefined {
    if (!this.xattrs.has(name)) return ENODATA;
    const xattrs = new Map(this.xattrs);
    xattrs.delete(name);
    return this.#changeXattrs(xattrs);
  }

  #changeXattrs(xattrs: ReadonlyMap<ByteString, Uint8Array>): Errno | undefined {
    const ctimeNs = wallClockNs();
    const failed = this.fs.record(() => [this.record({ xattrs, ctimeNs })]);
    if (failed !== undefined) return failed;
    this.markSaved();
    this.xattrs = xattrs;
    this.ctimeNs = ctimeNs;
    return undefined;
  }

  override open(flags: number, path: Path, actor: Actor): OpenFile | Errno {
    return this.type === S_IFDIR
      ? new DirectoryFile(flags, path, actor)
      : openRegular(this, flags, path, actor);
  }

  override syncNames(): Errno | undefined {
    return this.fs.syncLog();
  }

  /** The record of the inode as it is, but for `changed`. */
  record(changed: Partial<InodeRecord> = {}): InodeRecord {
    return {
      kind: "inode",
      ino: this.ino,
      mode: this.mode,
      uid: this.uid,
      gid: this.gid,
      rdev: this.#rdev,
      nlink: this.nlink,
      atimeNs: this.atimeNs,
      mtimeNs: this.mtimeNs,
      ctimeNs: this.ctimeNs,
      btimeNs: this.btimeNs,
      blob: this.blob,
      origin: this.#originPath(),
      target: this.lower === undefined ? this.target : "",
      xattrs: this.xattrs,
      ...changed,
    };
  }

  #originPath(): ByteString | undefined {
    if (this.lower === undefined && this.origin === undefined) return undefined;
    const names: ByteString[] = [];
    let at = this.origin;
    while (typeof at === "object") {
      names.push(at.name);
      at = at.parent.origin;
    }
    if (at !== undefined && at !== "") names.push(at);
    const path = names.reverse().join("/");
    return path;
  }

  /** The record that has to come before changes refer to the inode. */
  saving(): Change[] {
    return this.saved ? [] : [this.record()];
  }

  /** The log knows the inode now. */
  markSaved(): void {
    if (this.saved) return;
    this.saved = true;
    this.fs.keep(this);
  }

  #unlinking(name: ByteString, timeNs: bigint): Change {
    return { kind: "unlink", parent: this.ino, name, whiteout: this.#hasBelow(name), timeNs };
  }

  #hasBelow(name: ByteString): boolean {
    return this.lower?.lookup(name) !== undefined;
  }

  /** What to record of losing one name. */
  losing(timeNs: bigint): Change[] {
    const nlink = this.type === S_IFDIR ? 0 : this.nlink - 1;
    if (nlink > 0) return [this.record({ nlink, ctimeNs: timeNs })];
    return this.saved ? [{ kind: "drop", ino: this.ino }] : [];
  }

  /** One name is gone; without the last one (and when nobody has it open) the bytes go too. */
  lost(timeNs: bigint): void {
    this.nlink = this.type === S_IFDIR ? 0 : this.nlink - 1;
    this.ctimeNs = timeNs;
    if (this.nlink > 0) this.markSaved();
    else {
      this.saved = false;
      this.fs.dropIfUnused(this);
    }
  }

  /** Puts `child` under `name`. */
  enter(name: ByteString, child: TreeInode, timeNs: bigint): void {
    this.children ??= new Map();
    this.children.set(name, child);
    if (child.type === S_IFDIR) this.#subdirectories++;
    this.#touch(timeNs);
  }

  /** Takes `name` away, and hides what the lower tree has under it. */
  erase(name: ByteString, timeNs: bigint): void {
    if (this.children?.get(name)?.type === S_IFDIR) this.#subdirectories--;
    if (this.#hasBelow(name)) {
      this.children ??= new Map();
      this.children.set(name, null);
    } else this.children?.delete(name);
    this.#touch(timeNs);
  }

  #touch(timeNs: bigint): void {
    this.mtimeNs = timeNs;
    this.ctimeNs = timeNs;
  }

  override get busy(): boolean {
    return this.opens > 0;
  }
}
