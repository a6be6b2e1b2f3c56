import { ENODATA, type Errno } from "../abi/errno.ts";
import type { ImageNode, ImageTree } from "../image/tree.ts";
import type { Lower, LowerContent } from "./tree/lower.ts";

/** A pulled image as the lower tree of a container. Owns `tree`. */
export function imageLower(tree: ImageTree): Lower {
  return {
    root: tree.root,
    inodeMax: tree.inodeMax,
    open: openNode,
    close: () => tree.close(),
  };
}

function openNode(node: ImageNode): LowerContent | Errno {
  const content = node.content();
  if (content === undefined) return ENODATA;
  const { fd, offset, length, mappable, identity } = content;
  // The descriptor is the pack's: shared by all files, and never anyone's to close.
  return { fd, offset, length, mappable, identity, direct: false, close: () => {} };
}
