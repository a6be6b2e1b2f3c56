import type { ByteString } from "../../sentry/abi/bytes.ts";
import type { ImageNode } from "../../sentry/image/tree.ts";
import { SYMLINKS_MAX } from "../limits.ts";

/** A place in a tree: where it really is, without symlinks, and what is there. */
export interface TreePlace {
  /** Names from the root. */
  readonly path: readonly ByteString[];
  /** Undefined: nothing is there. */
  readonly node: ImageNode | undefined;
}

/**
 * Where a path leads in a tree, its symlinks followed inside of the tree: `..` at the root is the root. What is
 * missing is missing from some name on; the names after it are kept as they are.
 * @param followLast whether a symlink that the path ends with is followed
 * @returns undefined where there are too many symlinks
 */
export function resolvePath(
  root: ImageNode | undefined,
  path: ByteString,
  followLast: boolean,
): TreePlace | undefined {
  const trail: { name: ByteString; node: ImageNode | undefined }[] = [];
  const left = path.split("/").reverse();
  let symlinks = 0;
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      trail.pop();
      continue;
    }
    const here = trail.length === 0 ? root : trail.at(-1)?.node;
    const node = here?.lookup(name);
    const isLast = left.every((rest) => rest === "" || rest === ".");
    if (node?.type !== "symlink" || (isLast && !followLast)) {
      trail.push({ name, node });
      continue;
    }
    if (++symlinks > SYMLINKS_MAX) return undefined;
    if (node.target.startsWith("/")) trail.length = 0;
    left.push(...node.target.split("/").reverse());
  }
  return {
    path: trail.map(({ name }) => name),
    node: trail.length === 0 ? root : trail.at(-1)?.node,
  };
}
