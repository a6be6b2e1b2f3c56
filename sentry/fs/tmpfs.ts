import { BlobDirectory } from "./tree/blobs.ts";
import { TreeFs } from "./tree/tree-fs.ts";

const TMPFS_MAGIC = 0x01021994;
const DEFAULT_MODE = 0o1777;

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
    rootMode: options.mode ?? DEFAULT_MODE,
    rootUid: options.uid,
    rootGid: options.gid,
    mountOptions: optionsText(options),
  });
}

/** What mountinfo tells of it, as the kernel's shmem_show_options() does: only what is not the default. */
function optionsText({ size, mode = DEFAULT_MODE, uid, gid }: TmpfsOptions): string {
  const bits = mode & 0o7777;
  return [
    ...(size === undefined ? [] : [`size=${Math.floor(size / 1024)}k`]),
    ...(bits === DEFAULT_MODE ? [] : [`mode=${bits.toString(8).padStart(3, "0")}`]),
    ...(uid ? [`uid=${uid}`] : []),
    ...(gid ? [`gid=${gid}`] : []),
  ].join(",");
}
