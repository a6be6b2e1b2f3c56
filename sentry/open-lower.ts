import { toText } from "./abi/bytes.ts";
import { Errno } from "./abi/errno.ts";
import { hostImage } from "./fs/host-image.ts";
import { imageLower } from "./fs/image.ts";
import type { Lower } from "./fs/tree/lower.ts";
import { openImage } from "./image/merged-tree.ts";
import { storedLayers } from "./image/stored-layers.ts";
import type { ContainerSpec } from "./spec.ts";

/** The image of a container as the lower tree of its root file system. @throws when it cannot be read. */
export function openLower(spec: ContainerSpec): Lower {
  const { store, image, layers } = spec.rootfs;
  if (image === "") return imageLower(openImage(layers.map(toText)));
  if (image !== "host") return imageLower(openImage(storedLayers(toText(store), image)));
  const lower = hostImage();
  if (lower instanceof Errno) throw new Error(`The host's directories cannot be read: ${lower}`);
  return lower;
}
