import { toText } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { openDirectory } from "../host/fs.ts";
import { openImage } from "../image/merged-tree.ts";
import type { TreeMountSpec } from "../spec.ts";
import { imageLower } from "./image.ts";
import { overlay, UpperLayerError } from "./overlay.ts";
import { BlobDirectory } from "./tree/blobs.ts";
import type { Lower } from "./tree/lower.ts";
import { TreeFs } from "./tree/tree-fs.ts";

const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/**
 * The file system of a mount that is made of layers.
 * @param scratch an empty private host directory for changes that are to be forgotten; owned. Needed where the
 *   spec has no writable layer of its own.
 * @throws UpperLayerError; then nothing stays open.
 */
export function treeMount(spec: TreeMountSpec, scratch: number | undefined): TreeFs {
  const { upper, mode: rootMode, uid: rootUid, gid: rootGid } = spec;
  const root = { rootMode, rootUid, rootGid };
  const lower = lowerOf(spec);
  if (upper === undefined) {
    if (scratch === undefined)
      throw new Error("A tree without a writable layer needs a scratch directory");
    const blobs = new BlobDirectory(scratch);
    blobs.sweep(() => false);
    return new TreeFs({ type: "overlay", magic: OVERLAYFS_SUPER_MAGIC, blobs, lower, ...root });
  }
  const dirfd = openDirectory(upper);
  if (dirfd instanceof Errno) {
    lower?.close();
    throw new UpperLayerError(`The writable layer ${toText(upper)} cannot be used: ${dirfd}`);
  }
  return overlay({ lower, dirfd, ...root });
}

function lowerOf({ layers }: TreeMountSpec): Lower | undefined {
  return layers.length === 0 ? undefined : imageLower(openImage(layers.map(toText)));
}
