/** A directory of the host inside a container: bind mounts and volumes. */
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import {
  chownAt,
  closeFd,
  HOST_O,
  type HostStat,
  openAt,
  ownIds,
  statFd,
  statfsFd,
  syncfs,
} from "../host/fs.ts";
import { type Birth, FileSystem, type Stat, type Statfs } from "../vfs/inode.ts";
import { DirectoryCache } from "./directory-cache.ts";
import { HostInode } from "./host-inode.ts";

/** How a host directory appears. */
export interface HostFsOptions {
  /** The directory, or the one file, opened by the operator's authority (`O_PATH` will do); owned. */
  readonly dirfd: number;
  /** Nothing can be changed through it. */
  readonly readOnly?: boolean;
}

/** Names of the host's file systems by magic number; others are called what they are to us. */
const TYPE_NAMES: ReadonlyMap<number, ByteString> = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x2fc12fc1, "zfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlay"],
  [0x6969, "nfs"],
]);
const NOBODY = 65534;

/**
 * A host directory, reached through descriptors only: each step opens one component below the directory
 * before it and refuses symlinks, so that whoever swaps names on the host leads nobody anywhere.
 */
export class HostFs extends FileSystem {
  readonly type: ByteString;
  readonly root: HostInode;
  /** Names change on the host as well. */
  override readonly cachesNames = false;
  override readonly readOnly: boolean;
  readonly #rootFd: number;
  readonly #device: number;
  readonly #own = ownIds();
  #uid = 0;
  #gid = 0;
  readonly #directories: DirectoryCache<HostInode>;
  /** Inodes that somebody still has, by device and number. */
  readonly #inodes = new Map<number | string, WeakRef<HostInode>>();
  readonly #gone = new FinalizationRegistry<number | string>((key) => {
    if (this.#inodes.get(key)?.deref() === undefined) this.#inodes.delete(key);
  });

  /** @throws Error when the descriptor is none. */
  constructor(options: HostFsOptions) {
    super();
    this.#rootFd = options.dirfd;
    this.#directories = new DirectoryCache(options.dirfd);
    this.readOnly = options.readOnly ?? false;
    const stat = statFd(options.dirfd);
    if (stat instanceof Errno) throw new Error(`The mount's source cannot be used: ${stat}`);
    this.#device = stat.dev;
    const system = statfsFd(options.dirfd);
    this.type = (system instanceof Errno ? undefined : TYPE_NAMES.get(system.type)) ?? "bind";
    this.root = this.inode(undefined, "", stat);
  }

  /** The inode of a host file just seen as `name` in `parent`. */
  inode(parent: HostInode | undefined, name: ByteString, stat: HostStat): HostInode {
    const key = stat.dev === this.#device ? stat.ino : `${stat.dev}:${stat.ino}`;
    const known = this.#inodes.get(key)?.deref();
    if (known?.isAlso(stat)) {
      known.seen(parent, name, stat);
      return known;
    }
    const inode = new HostInode(this, parent, name, stat);
    this.#inodes.set(key, new WeakRef(inode));
    this.#gone.register(inode, key);
    return inode;
  }

  /**
   * Says as whose the files of the user that runs the sentry appear: the container's user, so that he may
   * use them; at first root. Not applied when the sentry runs as root, who owns files of every user.
   */
  showOwnAs(uid: number, gid: number): void {
    this.#uid = uid;
    this.#gid = gid;
  }

  /** A descriptor (`O_PATH`) of the directory; stays ours. @returns `ESTALE` when it is not there any more. */
  directory(inode: HostInode): number | Errno {
    return this.#directories.fd(inode);
  }

  /** The host's view with the container's owners and device number. */
  show(stat: HostStat): Stat {
    return {
      dev: this.dev,
      ino: stat.ino,
      mode: stat.mode,
      nlink: stat.nlink,
      uid: this.shownUid(stat.uid),
      gid: this.shownGid(stat.gid),
      rdev: 0,
      size: stat.size,
      blksize: stat.blksize,
      blocks: stat.blocks,
      atimeNs: stat.atimeNs,
      mtimeNs: stat.mtimeNs,
      ctimeNs: stat.ctimeNs,
      btimeNs: stat.btimeNs,
    };
  }

  shownUid(uid: number): number {
    if (this.#own.uid === 0) return uid;
    return uid === this.#own.uid ? this.#uid : uid === 0 ? NOBODY : uid;
  }

  shownGid(gid: number): number {
    if (this.#own.uid === 0) return gid;
    return gid === this.#own.gid ? this.#gid : gid === 0 ? NOBODY : gid;
  }

  /** The host's number for a user of the container, for chown(2). */
  hostUid(uid: number): number {
    return this.#own.uid !== 0 && uid === this.#uid ? this.#own.uid : uid;
  }

  hostGid(gid: number): number {
    return this.#own.uid !== 0 && gid === this.#gid ? this.#own.gid : gid;
  }

  /** Gives a file just made to whom it belongs; only root can, and for others it already does. */
  own(directory: number, name: ByteString, birth: Birth): void {
    if (this.#own.uid !== 0) return;
    if (birth.uid !== 0 || birth.gid !== 0) chownAt(directory, name, birth.uid, birth.gid);
  }

  statfs(): Statfs | Errno {
    const fd = openAt(this.#rootFd, ".", HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const stat = statfsFd(fd);
    closeFd(fd);
    return stat;
  }

  override sync(): Errno | undefined {
    const fd = openAt(this.#rootFd, ".", HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const failed = syncfs(fd);
    closeFd(fd);
    return failed;
  }

  override release(): void {
    this.#directories.close();
  }
}
