import type { ByteString } from "../abi/bytes.ts";
import { LayerNode, LayerTree, type ResolveBelow, WHITEOUT } from "./pack-reader.ts";
import type { Content, ImageEntry, ImageNode, ImageTree, NodeType } from "./tree.ts";

/**
 * The tree of an image: its layers merged as they are looked at. A name belongs to the topmost layer
 * that has it; a directory shows the names of all layers down to one that is opaque or has something
 * else of its name. See the OCI image layer specification, "Applying Changesets".
 */
class MergedTree implements ImageTree {
  readonly root: ImageNode;
  readonly inodeMax: number;
  readonly inodeCount: number;
  readonly contentBytes: number;
  readonly #layers: readonly LayerTree[];

  /** @param layers bottom to top */
  constructor(layers: readonly LayerTree[]) {
    this.#layers = layers;
    this.root = mergeRoots(layers);
    this.inodeMax = layers.at(-1)?.inodeMax ?? 0;
    this.inodeCount = layers.reduce((sum, layer) => sum + layer.inodeCount, 0);
    this.contentBytes = layers.reduce((sum, layer) => sum + layer.contentBytes, 0);
  }

  close(): void {
    for (const layer of this.#layers) layer.close();
  }
}

/**
 * Opens an image.
 * @param directories where its layers are on the host, bottom to top, at least one
 * @throws {ImageError} STORE_IO when one is not a layer
 */
export function openImage(directories: readonly string[]): ImageTree {
  return new MergedTree(openLayers(directories));
}

/**
 * The first path that is a hard link to a file no lower layer has, or undefined. A layer may link
 * to files below it, so this is known only when the image is complete.
 */
export function danglingLink(directories: readonly string[]): ByteString | undefined {
  const layers = openLayers(directories);
  try {
    for (const layer of layers) {
      const path = layer.linksBelow().find((target) => layer.resolveBelow(target) === undefined);
      if (path !== undefined) return path;
    }
    return undefined;
  } finally {
    for (const layer of layers) layer.close();
  }
}

function openLayers(directories: readonly string[]): LayerTree[] {
  const layers: LayerTree[] = [];
  try {
    for (const directory of directories) {
      const below = layers.slice();
      const inodeBase = below.at(-1)?.inodeMax ?? 0;
      layers.push(new LayerTree(directory, inodeBase, resolver(below)));
    }
    return layers;
  } catch (error) {
    for (const layer of layers) layer.close();
    throw error;
  }
}

/** Looks up paths in the merged tree of `layers`, without following symlinks. */
function resolver(layers: readonly LayerTree[]): ResolveBelow {
  let root: ImageNode | undefined;
  return (path) => {
    if (layers.length === 0) return undefined;
    root ??= mergeRoots(layers);
    let node: ImageNode | undefined = root;
    for (const name of path.split("/")) node = node?.lookup(name);
    return node?.type === "directory" ? undefined : node;
  };
}

function mergeRoots(layers: readonly LayerTree[]): ImageNode {
  const roots: LayerNode[] = [];
  for (const layer of layers.toReversed()) {
    roots.push(layer.root);
    if (layer.root.opaque) break;
  }
  return merge(roots);
}

/** The directory that is in all of `layers`, top to bottom and at least one. */
function merge(layers: readonly LayerNode[]): ImageNode {
  const [top] = layers;
  if (top === undefined) throw new Error("An image has at least one layer");
  return layers.length === 1 ? top : new MergedDirectory(top, layers);
}

/** A directory that several layers have. Its inode number is that of the topmost. */
class MergedDirectory implements ImageNode {
  readonly ino: number;
  readonly type: NodeType = "directory";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number = 0;
  readonly mtime: bigint;
  readonly nlink: number = 1;
  readonly rdev: number = 0;
  readonly target: ByteString = "";
  readonly #layers: readonly LayerNode[];
  readonly #described: LayerNode;
  /** What was found so far: never more than the layers hold, whatever the guest asks for. */
  readonly #found = new Map<ByteString, ImageNode>();

  constructor(top: LayerNode, layers: readonly LayerNode[]) {
    const described = layers.find((layer) => !layer.implicit) ?? top;
    this.#layers = layers;
    this.#described = described;
    this.ino = top.ino;
    this.mode = described.mode;
    this.uid = described.uid;
    this.gid = described.gid;
    this.mtime = described.mtime;
  }

  xattrs(): ReadonlyMap<ByteString, Uint8Array> {
    return this.#described.xattrs();
  }

  lookup(name: ByteString): ImageNode | undefined {
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    const node = this.#search(name);
    if (node !== undefined) this.#found.set(name, node);
    return node;
  }

  #search(name: ByteString): ImageNode | undefined {
    const directories: LayerNode[] = [];
    for (const layer of this.#layers) {
      const finding = layer.find(name);
      if (finding === undefined) continue;
      if (finding === WHITEOUT) break;
      if (!(finding instanceof LayerNode) || finding.type !== "directory") {
        if (directories.length === 0) return layer.resolve(finding);
        break;
      }
      directories.push(finding);
      if (finding.opaque) break;
    }
    return directories.length === 0 ? undefined : merge(directories);
  }

  list(): Iterable<ImageEntry> {
    const shown = new Map<ByteString, ImageEntry>();
    const decided = new Set<ByteString>();
    for (const layer of this.#layers) {
      for (const entry of layer.entries()) {
        if (decided.has(entry.name)) continue;
        decided.add(entry.name);
        const child = layer.show(entry);
        if (child !== undefined) shown.set(entry.name, child);
      }
    }
    return [...shown.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  content(): Content | undefined {
    return undefined;
  }
}
