import { BlobDirectory } from "./tree/blobs.ts";
import { TreeFs } from "./tree/tree-fs.ts";

const TMPFS_MAGIC = 0x01021994;

/** Options of a tmpfs, as in tmpfs(5). */
export interface TmpfsOptions {
  /** A private, empty host directory for the bytes (`O_PATH` will do); owned. Emptied at the end. */
  readonly dirfd: number;
  /** Most bytes of content; default: what the host has. */
  readonly size?: number | undefined;
  readonly inodes?: number | undefined;
  /** Permission bits of its root; default 1777, as docker's `--tmpfs`. */
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** A file system that starts empty and is forgotten at the end. */
export function tmpfs(options: TmpfsOptions): TreeFs {
  const blobs = new BlobDirectory(options.dirfd);
  blobs.sweep(() => false);
  return new TreeFs({
    type: "tmpfs",
    magic: TMPFS_MAGIC,
    blobs,
    sizeLimit: options.size,
    inodeLimit: options.inodes,
    rootMode: options.mode ?? 0o1777,
    rootUid: options.uid,
    rootGid: options.gid,
  });
}
