import type { Dentry } from "./dentry.ts";

/** How many names of one file system are remembered before those that nobody needs are forgotten. */
const DENTRY_MAX = 1 << 16;

/** Makes `child` the dentry for its name, and keeps the number of remembered names in bounds. */
export function remember(directory: Dentry, child: Dentry): void {
  directory.hash(child);
  const fs = directory.inode?.fs;
  if (fs === undefined || ++fs.remembered <= fs.rememberedMax) return;
  fs.remembered = forgetFiles(fs.rootDentry);
  fs.rememberedMax = Math.max(DENTRY_MAX, 2 * fs.remembered);
}

/**
 * Forgets the names of files that are neither open nor watched, and of what does not exist. Directories
 * stay: somebody may stand in them, and each must have one dentry only.
 * @returns how many names are left.
 */
export function forgetFiles(root: Dentry): number {
  let left = 0;
  const rest = [root];
  for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
    at.negatives = 0;
    for (const [name, child] of at.children ?? []) {
      const { inode } = child;
      if (child.children !== undefined) rest.push(child);
      const needed =
        child.mounts !== undefined ||
        (inode !== undefined && (inode.isDirectory || inode.busy || inode.watchers !== undefined));
      if (needed) left++;
      else at.children?.delete(name);
    }
  }
  return left;
}
