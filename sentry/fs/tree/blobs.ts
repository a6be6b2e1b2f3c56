import { Errno } from "../../abi/errno.ts";
import {
  closeFd,
  HOST_O,
  type HostStat,
  type HostStatfs,
  openAt,
  readDirectory,
  setTimesAt,
  statAt,
  statfsFd,
  syncfs,
  unlinkAt,
} from "../../host/fs.ts";

/** The bytes of a tree's regular files: one plain host file (0600, ours) per inode, named by its number. */
export class BlobDirectory {
  readonly #dirfd: number;

  /** @param dirfd a private host directory; owned from now on. May be `O_PATH`. */
  constructor(dirfd: number) {
    this.#dirfd = dirfd;
  }

  /** A new empty blob. @param flags host flags for its descriptor, which is the caller's. */
  create(ino: number, flags: number = HOST_O.RDWR): number | Errno {
    // A blob that a crash left behind before its inode was recorded is nobody's.
    return openAt(this.#dirfd, name(ino), flags | HOST_O.CREAT | HOST_O.TRUNC, 0o600);
  }

  /** @param flags host flags. @returns a descriptor of the caller's. */
  open(ino: number, flags: number): number | Errno {
    return openAt(this.#dirfd, name(ino), flags);
  }

  remove(ino: number): void {
    unlinkAt(this.#dirfd, name(ino));
  }

  stat(ino: number): HostStat | Errno {
    return statAt(this.#dirfd, name(ino));
  }

  setTimes(
    ino: number,
    atimeNs: bigint | undefined,
    mtimeNs: bigint | undefined,
  ): Errno | undefined {
    return setTimesAt(this.#dirfd, name(ino), atimeNs, mtimeNs);
  }

  /** Removes the blobs of all inodes but those that `keep` wants. */
  sweep(keep: (ino: number) => boolean): Errno | undefined {
    const fd = openAt(this.#dirfd, ".", HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const entries = [...readDirectory(fd)];
    closeFd(fd);
    for (const entry of entries) {
      if (!keep(Number.parseInt(entry.name, 16))) unlinkAt(this.#dirfd, entry.name);
    }
    return undefined;
  }

  statfs(): HostStatfs | Errno {
    const fd = openAt(this.#dirfd, ".", HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const result = statfsFd(fd);
    closeFd(fd);
    return result;
  }

  sync(): Errno | undefined {
    const fd = openAt(this.#dirfd, ".", HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const failed = syncfs(fd);
    closeFd(fd);
    return failed;
  }

  close(): void {
    closeFd(this.#dirfd);
  }
}

function name(ino: number): string {
  return ino.toString(16);
}
