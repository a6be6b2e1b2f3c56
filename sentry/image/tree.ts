import type { ByteString } from "../abi/bytes.ts";

/**
 * The read-only file tree of an image, as the sentry's file systems see it. Two things have this
 * shape: one layer, and an image, which is its layers merged bottom to top with whiteouts applied.
 * Nothing here waits, and nothing costs time in proportion to the image: a tree is a memory-mapped
 * index, and nodes are decoded one by one when they are asked for.
 */
export interface ImageTree {
  /** The root directory. */
  readonly root: ImageNode;
  /** Every inode number of the tree is at least 1 and at most this (below 2^53). */
  readonly inodeMax: number;
  /** How many inodes the layers hold: an upper bound of what is visible, for statfs(2). */
  readonly inodeCount: number;
  /** The bytes of file content in the layers, for statfs(2). */
  readonly contentBytes: number;
  /** Closes the descriptors and unmaps the indexes. No node of the tree may be used afterwards. */
  close(): void;
}

export type NodeType = "file" | "directory" | "symlink" | "fifo" | "character" | "block";

/**
 * One inode. Within a tree the same inode is always the same object, so nodes can be compared and
 * used as keys; hard links are several names of one node.
 */
export interface ImageNode {
  /** Stable for the life of the image, also across restarts, and unique within the tree. */
  readonly ino: number;
  readonly type: NodeType;
  /** `st_mode`: the type bits (S_IFMT) and the permissions with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** `st_size`: content bytes of a file, length of a symlink's target, else 0. */
  readonly size: number;
  /** Nanoseconds since the epoch, possibly negative. Images keep no other time. */
  readonly mtime: bigint;
  /** 1 for a directory merged from several layers, as overlayfs says ("not known"). */
  readonly nlink: number;
  /** `st_rdev` of a device node as stat(2) encodes it, else 0. */
  readonly rdev: number;
  /** A symlink's target, verbatim and never followed here; else empty. */
  readonly target: ByteString;
  /** Extended attributes by full name (`user.x`, `security.capability`); empty for most nodes. */
  xattrs(): ReadonlyMap<ByteString, Uint8Array>;
  /**
   * The child called `name`, or undefined (ENOENT). `.`, `..` and the empty name are never found:
   * they belong to the path walk. Always undefined where the node is no directory.
   */
  lookup(name: ByteString): ImageNode | undefined;
  /** The children of a directory in the order of their bytes, without `.` and `..`. */
  list(): Iterable<ImageEntry>;
  /** Where the bytes of a file are; undefined where the node is no file. */
  content(): Content | undefined;
}

/** One name in a directory, as getdents(2) wants it: no inode is decoded for it. */
export interface ImageEntry {
  readonly name: ByteString;
  readonly ino: number;
  readonly type: NodeType;
}

/** The bytes `offset` to `offset + length` of the host descriptor `fd`. */
export interface Content {
  /** A read-only descriptor of a pack, owned by the tree: dup(2) it to keep it after `close()`. */
  readonly fd: number;
  /** A multiple of 16 KiB where `mappable`. */
  readonly offset: number;
  readonly length: number;
  /**
   * Whether `fd` may be handed to the executor and mapped at `offset`: everything else in that pack
   * is world-readable too, and the rest of the last page is zero, as mmap(2) promises. Content that
   * is not mappable is small or not world-readable: the sentry reads it and copies it in.
   */
  readonly mappable: boolean;
  /** Names these bytes for ever, in every image that has the layer; not a path. */
  readonly identity?: string | undefined;
}
