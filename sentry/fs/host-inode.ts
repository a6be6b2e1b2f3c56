/** A file of a host directory that is mounted in a container. */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, ECONNREFUSED, ENOENT, EOPNOTSUPP, EPERM, Errno, ESTALE } from "../abi/errno.ts";
import {
  O_ACCMODE,
  O_APPEND,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../abi/file.ts";
import {
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  closeFd,
  fsync,
  ftruncate,
  HOST_O,
  type HostStat,
  linkAt,
  mkdirAt,
  mknodAt,
  openAt,
  readDirectory,
  readlinkAt,
  renameAt,
  reopen,
  rmdirAt,
  setTimesAt,
  setTimesFd,
  statAt,
  statFd,
  symlinkAt,
  unlinkAt,
} from "../host/fs.ts";
import { getxattr, listxattr, removexattr, setxattr } from "../host/xattr.ts";
import { DirectoryFile } from "../vfs/file.ts";
import type { Actor } from "../vfs/fs-context.ts";
import {
  type AttributeChange,
  type Birth,
  type DirectoryEntry,
  Inode,
  type Stat,
} from "../vfs/inode.ts";
import type { Path } from "../vfs/mount.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import type { HostFs } from "./host.ts";
import { HostFile } from "./host-file.ts";
import { HostLocks } from "./host-locks.ts";

/** A file of the host: the directory it was last seen in, its name there, and which file that was. */
export class HostInode extends Inode {
  readonly fs: HostFs;
  parent: HostInode | undefined;
  name: ByteString;
  #stat: HostStat;
  #locks: HostLocks | undefined;
  /** The descriptor the file was made with, for the one who made it. */
  #made: number | undefined;

  constructor(fs: HostFs, parent: HostInode | undefined, name: ByteString, stat: HostStat) {
    super();
    this.fs = fs;
    this.parent = parent;
    this.name = name;
    this.#stat = stat;
  }

  get ino(): number {
    return this.#stat.ino;
  }
  get mode(): number {
    return this.#stat.mode;
  }
  get uid(): number {
    return this.fs.shownUid(this.#stat.uid);
  }
  get gid(): number {
    return this.fs.shownGid(this.#stat.gid);
  }
  override get rdev(): number {
    // A device of the host never is one of the container.
    return 0;
  }

  override get outerLocks(): HostLocks {
    this.#locks ??= new HostLocks();
    return this.#locks;
  }

  /** It has just been seen there. */
  seen(parent: HostInode | undefined, name: ByteString, stat: HostStat): void {
    this.parent = parent;
    this.name = name;
    this.#stat = stat;
  }

  /** Whether `stat` is of this very file. */
  isAlso(stat: HostStat): boolean {
    return stat.isSameFile(this.#stat);
  }

  stat(): Stat | Errno {
    const stat = this.#look();
    if (stat instanceof Errno) return stat;
    this.#stat = stat;
    return this.fs.show(stat);
  }

  #look(): HostStat | Errno {
    if (this.parent === undefined) {
      const fd = this.fs.directory(this);
      return fd instanceof Errno ? fd : statFd(fd);
    }
    const fd = this.fs.directory(this.parent);
    if (fd instanceof Errno) return fd;
    const stat = statAt(fd, this.name);
    if (stat instanceof Errno) return stat;
    return this.isAlso(stat) ? stat : ESTALE;
  }

  override lookup(name: ByteString): HostInode | Errno {
    const fd = this.fs.directory(this);
    if (fd instanceof Errno) return fd === ESTALE ? ENOENT : fd;
    const stat = statAt(fd, name);
    return stat instanceof Errno ? stat : this.fs.inode(this, name, stat);
  }

  override entries(): readonly DirectoryEntry[] | Errno {
    const parent = this.fs.directory(this);
    if (parent instanceof Errno) return parent;
    const fd = openAt(parent, ".", HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const entries = [...readDirectory(fd)];
    closeFd(fd);
    return entries;
  }

  override syncNames(): Errno | undefined {
    const fd = this.#openHost(HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const failed = fsync(fd);
    closeFd(fd);
    return failed;
  }

  override mknod(name: ByteString, birth: Birth, _rdev: number): Inode | Errno {
    return this.#make(name, birth, (fd) => {
      const type = birth.mode & S_IFMT;
      if (type === S_IFCHR || type === S_IFBLK) return EPERM;
      if (type === S_IFREG) {
        const file = openAt(fd, name, HOST_O.WRONLY | HOST_O.CREAT | HOST_O.EXCL, 0o600);
        if (file instanceof Errno) return file;
        closeFd(file);
        return undefined;
      }
      return mknodAt(fd, name, type | 0o600);
    });
  }

  override create(name: ByteString, birth: Birth, flags: number): Inode | Errno {
    const directory = this.fs.directory(this);
    if (directory instanceof Errno) return directory;
    const create = HOST_O.CREAT | HOST_O.EXCL;
    const fd = openAt(directory, name, hostAccess(flags) | create, 0o600);
    if (fd instanceof Errno) return fd;
    this.fs.own(directory, name, birth);
    const failed = chmodFd(fd, birth.mode & 0o7777);
    const made = failed ?? this.lookup(name);
    if (made instanceof Errno) closeFd(fd);
    else made.#made = fd;
    return made;
  }

  override mkdir(name: ByteString, birth: Birth): Inode | Errno {
    return this.#make(name, birth, (fd) => mkdirAt(fd, name, 0o700));
  }

  override symlink(name: ByteString, target: ByteString, birth: Birth): Inode | Errno {
    const fd = this.fs.directory(this);
    if (fd instanceof Errno) return fd;
    const failed = symlinkAt(target, fd, name);
    if (failed !== undefined) return failed;
    this.fs.own(fd, name, birth);
    return this.lookup(name);
  }

  #make(
    name: ByteString,
    birth: Birth,
    make: (directory: number) => Errno | undefined,
  ): Inode | Errno {
    const fd = this.fs.directory(this);
    if (fd instanceof Errno) return fd;
    const failed = make(fd);
    if (failed !== undefined) return failed;
    this.fs.own(fd, name, birth);
    // Made without permissions for others, given exactly those asked for: the sentry's umask has no say.
    const refused = chmodAt(fd, name, birth.mode & 0o7777);
    return refused ?? this.lookup(name);
  }

  override link(name: ByteString, inode: Inode): Errno | undefined {
    const other = inode as HostInode;
    if (other.parent === undefined) return EPERM;
    const from = this.fs.directory(other.parent);
    const to = this.fs.directory(this);
    if (from instanceof Errno) return from;
    if (to instanceof Errno) return to;
    return linkAt(from, other.name, to, name);
  }

  override unlink(name: ByteString): Errno | undefined {
    const fd = this.fs.directory(this);
    return fd instanceof Errno ? fd : unlinkAt(fd, name);
  }

  override rmdir(name: ByteString): Errno | undefined {
    const fd = this.fs.directory(this);
    return fd instanceof Errno ? fd : rmdirAt(fd, name);
  }

  override rename(
    name: ByteString,
    newParent: Inode,
    newName: ByteString,
    flags: number,
  ): Errno | undefined {
    const to = newParent as HostInode;
    const fromFd = this.fs.directory(this);
    const toFd = this.fs.directory(to);
    if (fromFd instanceof Errno) return fromFd;
    if (toFd instanceof Errno) return toFd;
    const failed = renameAt(fromFd, name, toFd, newName, flags);
    if (failed !== undefined) return failed;
    to.lookup(newName);
    this.lookup(name);
    return undefined;
  }

  override readlink(_actor: Actor): ByteString | Errno {
    return this.#beside((fd) => readlinkAt(fd, this.name));
  }

  /** Acts on the name the file was last seen under. */
  #beside<T>(act: (directory: number) => T | Errno): T | Errno {
    if (this.parent === undefined) return EPERM;
    const fd = this.fs.directory(this.parent);
    return fd instanceof Errno ? fd : act(fd);
  }

  override setattr(change: AttributeChange): Errno | undefined {
    let failed: Errno | undefined;
    if (this.parent !== undefined) {
      failed = this.#change(change, this.fs.directory(this.parent), this.name);
    } else if (this.type === S_IFDIR) failed = this.#change(change, this.fs.directory(this), ".");
    else failed = this.#changeMountedFile(change);
    if (failed === undefined) this.stat();
    return failed;
  }

  /** A file that is itself what is mounted has no name here. */
  #changeMountedFile({ size, mode, uid, gid, ...times }: AttributeChange): Errno | undefined {
    const fd = this.#openHere(size === undefined ? HOST_O.RDONLY : HOST_O.WRONLY);
    if (fd instanceof Errno) return fd;
    const { atimeNs, mtimeNs } = times;
    const failed =
      (size === undefined ? undefined : ftruncate(fd, size)) ??
      (uid === undefined && gid === undefined ? undefined : this.#giveAway(fd, uid, gid)) ??
      (mode === undefined ? undefined : chmodFd(fd, mode)) ??
      (atimeNs === undefined && mtimeNs === undefined
        ? undefined
        : setTimesFd(fd, atimeNs, mtimeNs));
    closeFd(fd);
    return failed;
  }

  #giveAway(fd: number, uid: number | undefined, gid: number | undefined): Errno | undefined {
    const { fs } = this;
    return chownFd(
      fd,
      uid === undefined ? -1 : fs.hostUid(uid),
      gid === undefined ? -1 : fs.hostGid(gid),
    );
  }

  #change(change: AttributeChange, fd: number | Errno, name: ByteString): Errno | undefined {
    if (fd instanceof Errno) return fd;
    if (change.size !== undefined) {
      const failed = this.#resize(fd, name, change.size);
      if (failed !== undefined) return failed;
    }
    if (change.uid !== undefined || change.gid !== undefined) {
      const uid = change.uid === undefined ? -1 : this.fs.hostUid(change.uid);
      const gid = change.gid === undefined ? -1 : this.fs.hostGid(change.gid);
      const failed = chownAt(fd, name, uid, gid);
      if (failed !== undefined) return failed;
    }
    if (change.mode !== undefined) {
      const failed = chmodAt(fd, name, change.mode);
      if (failed !== undefined) return failed;
    }
    if (change.atimeNs !== undefined || change.mtimeNs !== undefined) {
      return setTimesAt(fd, name, change.atimeNs, change.mtimeNs);
    }
    return undefined;
  }

  #resize(directory: number, name: ByteString, size: number): Errno | undefined {
    const fd = openAt(directory, name, HOST_O.WRONLY | HOST_O.NONBLOCK);
    if (fd instanceof Errno) return fd;
    const failed = ftruncate(fd, size);
    closeFd(fd);
    return failed;
  }

  override getxattr(name: ByteString): Uint8Array | Errno {
    return this.#withFile((fd) => getxattr(fd, name));
  }
  override listxattr(): readonly ByteString[] | Errno {
    return this.#withFile((fd) => listxattr(fd));
  }
  override setxattr(name: ByteString, value: Uint8Array, flags: number): Errno | undefined {
    return this.#withFile<undefined>((fd) => setxattr(fd, name, value, flags));
  }
  override removexattr(name: ByteString): Errno | undefined {
    return this.#withFile<undefined>((fd) => removexattr(fd, name));
  }

  #withFile<T>(act: (fd: number) => T | Errno): T | Errno {
    if (this.type !== S_IFREG && this.type !== S_IFDIR) return EOPNOTSUPP;
    const fd = this.#openHost(HOST_O.RDONLY | HOST_O.NONBLOCK);
    if (fd instanceof Errno) return fd;
    const result = act(fd);
    closeFd(fd);
    return result;
  }

  /** Opens the very file this inode stands for. @returns `ESTALE` when the name has become another file. */
  #openHost(flags: number): number | Errno {
    const fd =
      this.parent === undefined
        ? this.#openHere(flags)
        : this.#beside((directory) => openAt(directory, this.name, flags));
    if (fd instanceof Errno) return fd;
    const stat = statFd(fd);
    if (stat instanceof Errno || !this.isAlso(stat)) {
      closeFd(fd);
      return ESTALE;
    }
    return fd;
  }

  #openHere(flags: number): number | Errno {
    const here = this.fs.directory(this);
    if (here instanceof Errno) return here;
    return this.type === S_IFDIR ? openAt(here, ".", flags) : reopen(here, flags);
  }

  override openHostSocket(): number | Errno {
    return this.type === S_IFSOCK ? this.#openHost(HOST_O.PATH) : ECONNREFUSED;
  }

  override open(flags: number, path: Path, actor: Actor): OpenFile | Errno {
    switch (this.type) {
      case S_IFDIR:
        return new DirectoryFile(flags, path, actor);
      case S_IFREG: {
        const fd = this.#made ?? this.#openHost(hostAccess(flags));
        this.#made = undefined;
        return fd instanceof Errno ? fd : new BoundFile(flags, path, fd, this.fs);
      }
      default:
        return EACCES;
    }
  }
}

/** The host's flags for an open regular file. NONBLOCK: should it have become a FIFO, nobody waits for it. */
function hostAccess(flags: number): number {
  return Math.min(flags & O_ACCMODE, 2) | (flags & O_APPEND) | HOST_O.NONBLOCK;
}

/** An open file of the host directory. */
class BoundFile extends HostFile {
  readonly #fs: HostFs;

  constructor(flags: number, path: Path, fd: number, fs: HostFs) {
    super(flags, path, fd);
    this.#fs = fs;
  }

  override stat(): Stat | Errno {
    const stat = statFd(this.fd);
    return stat instanceof Errno ? stat : this.#fs.show(stat);
  }
}
