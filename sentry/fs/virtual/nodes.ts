/** What `/proc` and `/sys` are made of: directories, texts that are written when they are read, and links. */
import type { ByteString } from "../../abi/bytes.ts";
import { EACCES, EINVAL, ENODEV, ENOENT, ENOSPC, Errno } from "../../abi/errno.ts";
import { direntType, S_IFDIR, S_IFLNK, S_IFREG, SEEK_CUR, SEEK_SET } from "../../abi/file.ts";
import { DirectoryFile, VfsFile } from "../../vfs/file.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import {
  type AttributeChange,
  type DirectoryEntry,
  type FileSystem,
  Inode,
  type Stat,
} from "../../vfs/inode.ts";
import type { IoBuffer, Transfer } from "../../vfs/io-buffer.ts";
import type { Path } from "../../vfs/mount.ts";
import type { HostBacking, OpenFile } from "../../vfs/open-file.ts";

/** The file system that virtual nodes belong to. */
export interface VirtualFs extends FileSystem {
  nextIno(): number;
  /** The time that all its files show. */
  readonly timeNs: bigint;
}

/** Whose a node is; asked every time, for processes change their users. */
export type OwnerOf = () => { readonly uid: number; readonly gid: number };
const ROOT = { uid: 0, gid: 0 };
export const rootOwned: OwnerOf = () => ROOT;

/** Any virtual file. */
export abstract class VirtualNode extends Inode {
  readonly fs: VirtualFs;
  readonly ino: number;
  readonly mode: number;
  readonly #owner: OwnerOf;

  constructor(fs: VirtualFs, mode: number, owner: OwnerOf) {
    super();
    this.fs = fs;
    this.ino = fs.nextIno();
    this.mode = mode;
    this.#owner = owner;
  }

  get uid(): number {
    return this.#owner().uid;
  }
  get gid(): number {
    return this.#owner().gid;
  }

  stat(): Stat {
    const { timeNs, dev } = this.fs;
    return {
      dev,
      ino: this.ino,
      mode: this.mode,
      nlink: this.type === S_IFDIR ? 2 : 1,
      uid: this.uid,
      gid: this.gid,
      rdev: 0,
      size: 0,
      blksize: 1024,
      blocks: 0,
      atimeNs: timeNs,
      mtimeNs: timeNs,
      ctimeNs: timeNs,
      btimeNs: timeNs,
    };
  }

  override setattr(change: AttributeChange): Errno | undefined {
    // `> /proc/sys/...` truncates first.
    return change.size === undefined ? super.setattr(change) : undefined;
  }
}

/** A directory whose names are found when they are looked up. */
export abstract class VirtualDirectory extends VirtualNode {
  constructor(fs: VirtualFs, mode = 0o555, owner: OwnerOf = rootOwned) {
    super(fs, S_IFDIR | mode, owner);
  }

  override open(flags: number, path: Path, actor: Actor): OpenFile | Errno {
    return new DirectoryFile(flags, path, actor);
  }
}

/** A directory with names that never change. */
export class FixedDirectory extends VirtualDirectory {
  readonly children: Map<ByteString, Inode> = new Map();

  /** Adds a child. */
  add(name: ByteString, child: Inode): this {
    this.children.set(name, child);
    return this;
  }

  /** The directory at `path` (names joined by `/`) below this one, made where it is missing. */
  directory(path: ByteString): FixedDirectory {
    let at: FixedDirectory = this;
    for (const step of path.split("/")) {
      const next = at.children.get(step);
      if (next instanceof FixedDirectory) at = next;
      else {
        const made = new FixedDirectory(this.fs);
        at.add(step, made);
        at = made;
      }
    }
    return at;
  }

  /** Adds a text file at `path`, with the directories it needs. */
  addText(path: ByteString, text: Text): void {
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? this : this.directory(path.slice(0, slash));
    parent.add(path.slice(slash + 1), new TextNode(this.fs, text));
  }

  override lookup(name: ByteString, _actor: Actor): Inode | Errno {
    return this.children.get(name) ?? ENOENT;
  }

  override *entries(_actor: Actor): Generator<DirectoryEntry> {
    for (const [name, child] of this.children) {
      yield { name, ino: child.ino, type: direntType(child.mode) };
    }
  }
}

/** What a text file says, and what becomes of what is written to it. */
export interface Text {
  /** Byte strings or bytes; asked at the first read and after each rewind. */
  read(actor: Actor): ByteString | Uint8Array | Errno;
  /** Absent: it cannot be written. */
  write?(text: ByteString, actor: Actor): Errno | undefined;
}

/** A file whose content is made when it is read. */
export class TextNode extends VirtualNode {
  readonly text: Text;

  constructor(fs: VirtualFs, text: Text, mode?: number, owner: OwnerOf = rootOwned) {
    super(fs, S_IFREG | (mode ?? (text.write === undefined ? 0o444 : 0o644)), owner);
    this.text = text;
  }

  override open(flags: number, path: Path, actor: Actor): OpenFile | Errno {
    const file = new TextFile(flags, path, this.text, actor);
    return file.writable && this.text.write === undefined ? EACCES : file;
  }
}

/** Most bytes of one write: what is written here is a number or a name. */
const WRITE_MAX = 4096;

class TextFile extends VfsFile {
  readonly #text: Text;
  readonly #actor: Actor;
  #bytes: Uint8Array | undefined;
  #position = 0;

  constructor(flags: number, path: Path, text: Text, actor: Actor) {
    super(flags, path);
    this.#text = text;
    this.#actor = actor;
  }

  override read(buffer: IoBuffer): Transfer {
    const count = this.pread(buffer, this.#position);
    if (typeof count === "number") this.#position += count;
    return count;
  }

  override pread(buffer: IoBuffer, offset: number): Transfer {
    if (this.#bytes === undefined || offset === 0) {
      const text = this.#text.read(this.#actor);
      if (text instanceof Errno) return text;
      this.#bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
    }
    const part = this.#bytes.subarray(offset, offset + buffer.length);
    buffer.put(part);
    return part.length;
  }

  override write(buffer: IoBuffer): Transfer {
    return this.pwrite(buffer, 0);
  }

  override pwrite(buffer: IoBuffer, _offset: number): Transfer {
    if (this.#text.write === undefined) return EINVAL;
    if (buffer.length > WRITE_MAX) return ENOSPC;
    const text = Buffer.from(buffer.take()).toString("latin1");
    return this.#text.write(text, this.#actor) ?? buffer.length;
  }

  override seek(offset: number, whence: number): number | Errno {
    const target =
      whence === SEEK_SET ? offset : whence === SEEK_CUR ? this.#position + offset : -1;
    if (target < 0) return EINVAL;
    this.#position = target;
    return target;
  }

  override truncate(_length: number): Errno | undefined {
    return undefined;
  }

  override backing(): HostBacking | Errno {
    return ENODEV;
  }
}

/** Where a link says it leads, and where a magic one really does. */
export interface Link {
  text(actor: Actor): ByteString | Errno;
  place?(actor: Actor): Path | Errno;
}

export class LinkNode extends VirtualNode {
  readonly #link: Link;

  constructor(fs: VirtualFs, link: Link, owner: OwnerOf = rootOwned, mode = 0o777) {
    super(fs, S_IFLNK | mode, owner);
    this.#link = link;
  }

  override readlink(actor: Actor): ByteString | Errno {
    return this.#link.text(actor);
  }

  override magicLink(actor: Actor): Path | Errno | undefined {
    return this.#link.place?.(actor);
  }
}
