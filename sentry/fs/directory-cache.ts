import type { ByteString } from "../abi/bytes.ts";
import { Errno, ESTALE } from "../abi/errno.ts";
import { closeFd, HOST_O, type HostStat, openAt, statFd } from "../host/fs.ts";

/** A host directory as it is remembered: its name in the directory above, and which one it was. */
export interface KnownDirectory<D> {
  /** Absent for the root. */
  readonly parent: D | undefined;
  readonly name: ByteString;
  /** Whether `stat` is of this very directory. */
  isAlso(stat: HostStat): boolean;
}

/** How many directories are kept open; others are found again when they are needed. */
const OPEN_MAX = 128;

/**
 * Descriptors (`O_PATH`) of host directories. Each is opened as one component below the directory before
 * it, never through a symlink, and checked to be the directory that was meant.
 */
export class DirectoryCache<D extends KnownDirectory<D>> {
  readonly #rootFd: number;
  /** The least recently used first. */
  readonly #open = new Map<D, number>();

  /** @param rootFd of the root; owned. */
  constructor(rootFd: number) {
    this.#rootFd = rootFd;
  }

  /** A descriptor that stays ours. @returns `ESTALE` when the directory is not there any more. */
  fd(directory: D): number | Errno {
    if (directory.parent === undefined) return this.#rootFd;
    const open = this.#open.get(directory);
    if (open !== undefined) {
      this.#open.delete(directory);
      this.#open.set(directory, open);
      return open;
    }
    const parent = this.fd(directory.parent);
    if (parent instanceof Errno) return parent;
    const fd = openAt(parent, directory.name, HOST_O.PATH | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return fd;
    const stat = statFd(fd);
    if (stat instanceof Errno || !directory.isAlso(stat)) {
      closeFd(fd);
      return ESTALE;
    }
    this.#open.set(directory, fd);
    if (this.#open.size > OPEN_MAX) this.#closeOldest();
    return fd;
  }

  #closeOldest(): void {
    for (const [directory, fd] of this.#open) {
      closeFd(fd);
      this.#open.delete(directory);
      return;
    }
  }

  close(): void {
    for (const fd of this.#open.values()) closeFd(fd);
    this.#open.clear();
    closeFd(this.#rootFd);
  }
}
