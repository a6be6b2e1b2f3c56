import type { Errno } from "../../abi/errno.ts";
import type { ImageNode } from "../../image/tree.ts";

/** Where the bytes of a lower file are while somebody has it open. */
export interface LowerContent {
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
  /** Whether `fd` may be mapped at `offset`; see `Content.mappable`. */
  readonly mappable: boolean;
  /** See `Content.identity`. */
  readonly identity?: string | undefined;
  /**
   * Whether `fd` is an open file description of this opening alone, holding exactly this file: then it
   * can be read directly.
   */
  readonly direct: boolean;
  /** Gives the descriptor back. */
  close(): void;
}

/** The read-only tree below a container's own changes. */
export interface Lower {
  readonly root: ImageNode;
  /** Inode numbers of the tree are between 1 and this. */
  readonly inodeMax: number;
  /** Opens the content of a regular file. */
  open(node: ImageNode): LowerContent | Errno;
  close(): void;
}
