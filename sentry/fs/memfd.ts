/** Files in memory that only descriptors know: memfd_create(2). */
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { O_ACCMODE, O_APPEND, O_RDWR, S_IFDIR, S_IFREG } from "../abi/file.ts";
import { ftruncate, reopen, statFd } from "../host/fs.ts";
import { memfd } from "../host/memfd.ts";
import { Dentry } from "../vfs/dentry.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { type AttributeChange, FileSystem, Inode, type Stat, type Statfs } from "../vfs/inode.ts";
import { Mount, type Path } from "../vfs/mount.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { HostFile } from "./host-file.ts";

const TMPFS_MAGIC = 0x01021994;

/** The kernel's own tmpfs, which is mounted nowhere. */
class MemfdFs extends FileSystem {
  readonly type = "tmpfs";
  readonly root: Inode = new MemfdRoot(this);
  #nextIno = 1024;

  nextIno(): number {
    return this.#nextIno++;
  }

  statfs(): Statfs {
    return { type: TMPFS_MAGIC, bsize: 4096, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
  }
}

class MemfdRoot extends Inode {
  readonly fs: MemfdFs;
  readonly ino = 1;
  readonly mode: number = S_IFDIR | 0o1777;
  readonly uid = 0;
  readonly gid = 0;

  constructor(fs: MemfdFs) {
    super();
    this.fs = fs;
  }

  stat(): Stat {
    throw new Error("No path leads to the root of the kernel's tmpfs");
  }
}

const MEMFD_FS = new MemfdFs();

class MemfdInode extends Inode {
  readonly fs: MemfdFs = MEMFD_FS;
  readonly ino: number = MEMFD_FS.nextIno();
  mode: number = S_IFREG | 0o777;
  uid: number;
  gid: number;
  readonly #fd: number;

  /** @param fd what holds the bytes; lives as long as the first open file. */
  constructor(fd: number, uid: number, gid: number) {
    super();
    this.#fd = fd;
    this.uid = uid;
    this.gid = gid;
  }

  stat(): Stat | Errno {
    return this.statOpen(this.#fd);
  }

  /** What stat(2) says, by way of a descriptor of the same file. */
  statOpen(fd: number): Stat | Errno {
    const host = statFd(fd);
    if (host instanceof Errno) return host;
    const { mode, uid, gid, ino } = this;
    const { atimeNs, mtimeNs, ctimeNs, btimeNs } = host;
    const times = { atimeNs, mtimeNs, ctimeNs, btimeNs };
    return { ...host, ...times, dev: this.fs.dev, ino, mode, uid, gid, nlink: 0 };
  }

  override setattr(change: AttributeChange): Errno | undefined {
    if (change.size !== undefined) return ftruncate(this.#fd, change.size);
    if (change.mode !== undefined) this.mode = S_IFREG | change.mode;
    if (change.uid !== undefined) this.uid = change.uid;
    if (change.gid !== undefined) this.gid = change.gid;
    return undefined;
  }

  override open(flags: number, path: Path): OpenFile | Errno {
    const fd = reopen(this.#fd, (flags & O_ACCMODE) | (flags & O_APPEND));
    return fd instanceof Errno ? fd : new MemfdFile(flags, path, fd);
  }
}

/** A file in memory, open. */
export class MemfdFile extends HostFile {
  override get name(): ByteString {
    return `/${this.path.dentry.name} (deleted)`;
  }

  override stat(): Stat | Errno {
    return this.inode instanceof MemfdInode ? this.inode.statOpen(this.fd) : super.stat();
  }

  /** The host's descriptor, which keeps the seals: see `F_ADD_SEALS` in fcntl(2). */
  get hostFd(): number {
    return this.fd;
  }
}

/** A new, empty file in memory. @param sealable whether `F_ADD_SEALS` works on it. */
export function memfdFile(actor: Actor, name: ByteString, sealable: boolean): MemfdFile | Errno {
  const fd = memfd(name, sealable);
  if (fd instanceof Errno) return fd;
  const { fsuid, fsgid } = actor.credentials;
  const dentry = new Dentry(`memfd:${name}`, MEMFD_FS.rootDentry, new MemfdInode(fd, fsuid, fsgid));
  dentry.hashed = false;
  const { namespace } = actor.fs.root.mount;
  const mount = new Mount(namespace, 0, MEMFD_FS.rootDentry, {});
  return new MemfdFile(O_RDWR, { mount, dentry }, fd);
}
