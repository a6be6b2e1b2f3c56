import type { ByteString } from "../abi/bytes.ts";
import {
  EACCES,
  ECONNREFUSED,
  EINVAL,
  ENODATA,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  type Errno,
} from "../abi/errno.ts";
import { makeDev, S_IFDIR, S_IFMT } from "../abi/file.ts";
import { Dentry } from "./dentry.ts";
import type { Actor } from "./fs-context.ts";
import type { OuterLocks } from "./lock.ts";
import type { Path } from "./mount.ts";
import type { Watchers } from "./notify.ts";
import type { OpenFile } from "./open-file.ts";

/** What stat(2) tells of a file. Times are nanoseconds since the epoch. */
export interface Stat {
  readonly dev: number;
  readonly ino: number;
  /** File type and permission bits, as in `st_mode`. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  /** In units of 512 bytes. */
  readonly blocks: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly btimeNs: bigint;
}

/** What statfs(2) tells of a file system. Counts of blocks are in units of `bsize`. */
export interface Statfs {
  /** The magic number, `<linux/magic.h>`. */
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

/** What a new inode starts with; the path layer has applied umask and setgid directories already. */
export interface Birth {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A change of attributes; only what is present changes. Permission has been checked. */
export interface AttributeChange {
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** New length of a regular file. */
  readonly size?: number;
  readonly atimeNs?: bigint;
  readonly mtimeNs?: bigint;
}

/** A name in a directory. */
export interface DirectoryEntry {
  readonly name: ByteString;
  readonly ino: number;
  /** `d_type`: the type bits of the mode shifted right by 12. */
  readonly type: number;
}

let nextDevice = 20;

/** One file system: a superblock in Linux's words. */
export abstract class FileSystem {
  /** `st_dev` of its files. */
  readonly dev: number = makeDev(0, nextDevice++);
  /** Its type's name, as in `/proc/filesystems`. */
  abstract readonly type: ByteString;
  abstract readonly root: Inode;
  /**
   * Whether names change only through this sentry. Then a dentry is the truth; else every lookup asks
   * the file system again.
   */
  readonly cachesNames: boolean = true;
  /** Whether nothing in it can ever be changed. */
  readonly readOnly: boolean = false;
  /** Options that `/proc/mounts` shows beside those of the mount, such as `size=64k`. */
  readonly options: ByteString = "";
  /** How many names are remembered, and when to forget some; see `dentry-cache.ts`. */
  remembered = 0;
  rememberedMax: number = 1 << 16;
  #rootDentry: Dentry | undefined;

  get rootDentry(): Dentry {
    this.#rootDentry ??= new Dentry("", undefined, this.root);
    return this.#rootDentry;
  }

  abstract statfs(): Statfs | Errno;

  /** Makes everything durable. See syncfs(2). */
  sync(): Errno | undefined {
    return undefined;
  }

  /** The container ends: releases host resources. Nothing may be used afterwards. */
  release(): void {}
}

/**
 * One file, directory, link or node, whatever its names. The same inode is the same object as long as
 * anything refers to it. Methods assume that the path layer (`vfs/namei.ts`, `vfs/attributes.ts`) has
 * checked names, permissions and read-only mounts; they answer what only the file system can know.
 * The defaults answer as Linux does for a file that cannot.
 */
export abstract class Inode {
  abstract readonly fs: FileSystem;
  abstract readonly ino: number;
  /** Type and permission bits: `st_mode`. */
  abstract readonly mode: number;
  abstract readonly uid: number;
  abstract readonly gid: number;
  /** Device number of a device node. */
  get rdev(): number {
    return 0;
  }
  /** Whether {@link open} opens it whatever its type says: what stands for an already open file. */
  readonly opensItself: boolean = false;
  /** Where locks have to hold as well; absent for files that only this container has. */
  get outerLocks(): OuterLocks | undefined {
    return undefined;
  }
  /** inotify watches; absent when nobody watches. */
  watchers: Watchers | undefined = undefined;

  get type(): number {
    return this.mode & S_IFMT;
  }

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  /** Whether the object itself must stay what its name leads to: somebody has it open. */
  get busy(): boolean {
    return false;
  }

  abstract stat(): Stat | Errno;

  /** The child called `name`. @returns `ENOENT`, `ENOTDIR`. */
  lookup(_name: ByteString, _actor: Actor): Inode | Errno {
    return ENOTDIR;
  }

  /** Makes a regular file, FIFO, socket or device node: what `birth.mode` says. @returns `EEXIST`, `ENOSPC`. */
  mknod(_name: ByteString, _birth: Birth, _rdev: number): Inode | Errno {
    return EPERM;
  }

  /**
   * Makes a regular file that is opened next, with `flags`. Separate from {@link mknod} because who makes
   * a file may open it in ways that its permissions allow nobody.
   */
  create(name: ByteString, birth: Birth, _flags: number): Inode | Errno {
    return this.mknod(name, birth, 0);
  }

  mkdir(_name: ByteString, _birth: Birth): Inode | Errno {
    return EPERM;
  }

  symlink(_name: ByteString, _target: ByteString, _birth: Birth): Inode | Errno {
    return EPERM;
  }

  /** Gives `inode`, of the same file system and no directory, one more name. @returns `EMLINK`. */
  link(_name: ByteString, _inode: Inode): Errno | undefined {
    return EPERM;
  }

  /** A regular file without a name (`O_TMPFILE`); `link` may give it one. */
  tmpfile(_birth: Birth): Inode | Errno {
    return EOPNOTSUPP;
  }

  /** Removes a name that is no directory's. */
  unlink(_name: ByteString): Errno | undefined {
    return EPERM;
  }

  /** @returns `ENOTEMPTY`. */
  rmdir(_name: ByteString): Errno | undefined {
    return EPERM;
  }

  /**
   * Moves `name` to `newName` in `newParent`, a directory of the same file system, replacing what is there
   * (types have been checked). `flags` are `RENAME_*`. @returns `ENOTEMPTY`, `EXDEV`.
   */
  rename(
    _name: ByteString,
    _newParent: Inode,
    _newName: ByteString,
    _flags: number,
  ): Errno | undefined {
    return EPERM;
  }

  /** The target of a symbolic link. */
  readlink(_actor: Actor): ByteString | Errno {
    return EINVAL;
  }

  /** Where a magic link of `/proc` leads, whatever its text says; undefined for an ordinary symlink. */
  magicLink(_actor: Actor): Path | Errno | undefined {
    return undefined;
  }

  setattr(_change: AttributeChange): Errno | undefined {
    return EPERM;
  }

  /** Attributes by full name. @returns `ENODATA`, `EOPNOTSUPP`. */
  getxattr(_name: ByteString): Uint8Array | Errno {
    return EOPNOTSUPP;
  }

  /** @param flags `XATTR_CREATE`, `XATTR_REPLACE`. @returns `EEXIST`, `ENODATA`, `ENOSPC`. */
  setxattr(_name: ByteString, _value: Uint8Array, _flags: number): Errno | undefined {
    return EOPNOTSUPP;
  }

  listxattr(): readonly ByteString[] | Errno {
    return [];
  }

  removexattr(_name: ByteString): Errno | undefined {
    return ENODATA;
  }

  /**
   * Opens it. Creation, truncation and permission are done. Device nodes, FIFOs and sockets are not
   * asked: the path layer opens them by what they are (`vfs/special.ts`).
   */
  open(_flags: number, _path: Path, _actor: Actor): OpenFile | Errno {
    return EACCES;
  }

  /**
   * A socket node of the host, for connecting to whoever of the host listens there.
   * @returns a descriptor (`O_PATH`), the caller's; `ECONNREFUSED` for a node that is the container's own.
   */
  openHostSocket(): number | Errno {
    return ECONNREFUSED;
  }

  /** Makes a directory's names durable: fsync(2) of it. */
  syncNames(): Errno | undefined {
    return this.fs.sync();
  }

  /** The entries of a directory, without `.` and `..`. */
  entries(_actor: Actor): Iterable<DirectoryEntry> | Errno {
    return ENOTDIR;
  }
}
