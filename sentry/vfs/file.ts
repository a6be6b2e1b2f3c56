import type { ByteString } from "../abi/bytes.ts";
import { EBADF, EINVAL, EISDIR, Errno } from "../abi/errno.ts";
import { SEEK_CUR, SEEK_SET } from "../abi/file.ts";
import type { Actor } from "./fs-context.ts";
import type { DirectoryEntry, Inode, Stat } from "./inode.ts";
import type { IoBuffer, Transfer } from "./io-buffer.ts";
import { releaseFlock, releaseRecords } from "./lock.ts";
import { inodeAt, type Path, pathName } from "./mount.ts";
import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_ISDIR, notifyPath } from "./notify.ts";
import { OpenFile } from "./open-file.ts";

/** An open file that has a place in the tree. */
export abstract class VfsFile extends OpenFile {
  readonly path: Path;
  readonly inode: Inode;

  constructor(flags: number, path: Path) {
    super(flags);
    this.path = path;
    this.inode = inodeAt(path);
  }

  /** As seen from the container's root; `/proc` asks {@link path} for other views. */
  get name(): ByteString {
    return pathName(this.path, this.path.mount.namespace.root.rootPath);
  }

  stat(): Stat | Errno {
    return this.inode.stat();
  }

  override closedIn(table: object): void {
    releaseRecords(this.inode, table);
  }

  protected release(): void {
    releaseFlock(this, this.inode);
    notifyPath(this.path, this.writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
  }
}

/** A place and nothing else: `O_PATH`. Most calls answer `EBADF`. */
export class PathFile extends VfsFile {
  override get readable(): boolean {
    return false;
  }
  override get writable(): boolean {
    return false;
  }
  override read(): Transfer {
    return EBADF;
  }
  override write(): Transfer {
    return EBADF;
  }
  override pread(): Transfer {
    return EBADF;
  }
  override pwrite(): Transfer {
    return EBADF;
  }
  override seek(): number | Errno {
    return EBADF;
  }
  override truncate(): Errno {
    return EBADF;
  }
  override allocate(): Errno {
    return EBADF;
  }
  override sync(): Errno {
    return EBADF;
  }
  override readdir(): Errno {
    return EBADF;
  }
  override ioctl(): Errno {
    return EBADF;
  }
  protected override release(): void {}
}

const DIRENT_HEADER = 19;
const WORD = 4294967296;

/** `struct linux_dirent64` of one entry; `next` is the offset that seeks behind it. */
function dirent(
  name: ByteString,
  ino: number,
  type: number,
  next: number,
  at: number,
  out: Buffer,
) {
  const size = (DIRENT_HEADER + name.length + 1 + 7) & ~7;
  if (at + size > out.length) return 0;
  out.fill(0, at, at + size);
  out.writeUInt32LE(ino % WORD, at);
  out.writeUInt32LE(Math.floor(ino / WORD), at + 4);
  out.writeUInt32LE(next, at + 8);
  out.writeUInt16LE(size, at + 16);
  out.writeUInt8(type, at + 18);
  out.write(name, at + DIRENT_HEADER, "latin1");
  return size;
}

/** Most bytes one getdents64(2) returns, whatever room the guest offers. */
const READDIR_MAX = 1 << 16;

/** An open directory. Its entries are those at the first read or after the last rewind. */
export class DirectoryFile extends VfsFile {
  readonly #actor: Actor;
  #position = 0;
  #entries: readonly DirectoryEntry[] | undefined;

  constructor(flags: number, path: Path, actor: Actor) {
    super(flags, path);
    this.#actor = actor;
  }

  override read(_buffer: IoBuffer): Transfer {
    return EISDIR;
  }
  override pread(_buffer: IoBuffer, _offset: number): Transfer {
    return EISDIR;
  }
  override write(_buffer: IoBuffer): Transfer {
    return EBADF;
  }
  override pwrite(_buffer: IoBuffer, _offset: number): Transfer {
    return EBADF;
  }

  override seek(offset: number, whence: number): number | Errno {
    const target =
      whence === SEEK_SET ? offset : whence === SEEK_CUR ? this.#position + offset : -1;
    if (target < 0) return EINVAL;
    this.#position = target;
    if (target === 0) this.#entries = undefined;
    return target;
  }

  override sync(_dataOnly: boolean): Errno | undefined {
    return this.inode.syncNames();
  }

  override readdir(capacity: number): Uint8Array | Errno {
    if (this.#entries === undefined) {
      const entries = this.#list();
      if (entries instanceof Errno) return entries;
      this.#entries = entries;
    }
    const entries = this.#entries;
    const out = Buffer.allocUnsafe(Math.min(capacity, READDIR_MAX));
    let at = 0;
    while (this.#position < entries.length) {
      const entry = entries[this.#position] as DirectoryEntry;
      const size = dirent(entry.name, entry.ino, entry.type, this.#position + 1, at, out);
      if (size === 0) break;
      at += size;
      this.#position++;
    }
    if (at === 0 && this.#position < entries.length) return EINVAL;
    return out.subarray(0, at);
  }

  #list(): DirectoryEntry[] | Errno {
    const listed = this.inode.entries(this.#actor);
    if (listed instanceof Errno) return listed;
    const { dentry } = this.path;
    const parent = dentry.parent.inode ?? this.inode;
    const entries: DirectoryEntry[] = [
      { name: ".", ino: this.inode.ino, type: 4 },
      { name: "..", ino: parent.ino, type: 4 },
    ];
    for (const entry of listed) entries.push(entry);
    return entries;
  }

  protected override release(): void {
    releaseFlock(this, this.inode);
    notifyPath(this.path, IN_CLOSE_NOWRITE | IN_ISDIR);
  }
}
