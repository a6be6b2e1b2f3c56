import type { ByteString } from "../../abi/bytes.ts";
import type { ImageNode } from "../../image/tree.ts";
import type { Change, InodeRecord } from "../tree/changes.ts";
import type { TreeFs } from "../tree/tree-fs.ts";
import { TreeInode } from "../tree/tree-inode.ts";

/**
 * Makes a fresh tree what recorded changes say, and removes the blobs that belong to nothing. An inode
 * whose place in the lower tree is no longer there (the host's own files can change) is left out.
 */
export function replay(fs: TreeFs, changes: readonly Change[]): void {
  for (const change of changes) apply(fs, change);
  for (const inode of [...fs.keptInodes()]) if (inode.nlink <= 0) fs.abandon(inode.ino);
  fs.blobs.sweep((ino) => fs.kept(ino)?.blob === true);
}

function apply(fs: TreeFs, change: Change): void {
  switch (change.kind) {
    case "inode":
      applyInode(fs, change);
      return;
    case "link": {
      const child = fs.kept(change.ino);
      const parent = fs.kept(change.parent);
      if (parent === undefined || child === undefined) return;
      parent.erase(change.name, change.timeNs);
      parent.enter(change.name, child, change.timeNs);
      return;
    }
    case "unlink":
      fs.kept(change.parent)?.erase(change.name, change.timeNs);
      return;
    case "drop":
      fs.abandon(change.ino);
      return;
  }
}

function applyInode(fs: TreeFs, record: InodeRecord): void {
  let inode = fs.kept(record.ino);
  if (inode === undefined) {
    const node = record.origin === undefined ? undefined : below(fs, record.origin);
    if (record.origin !== undefined && node === undefined && !record.blob) return;
    const { mode, uid, gid, rdev, nlink, target } = record;
    const attributes = { mode, uid, gid, rdev, nlink, target, timeNs: record.mtimeNs };
    const own = node === undefined ? attributes : { ...attributes, target: node.target };
    inode = new TreeInode(
      fs,
      record.ino,
      own,
      node,
      node === undefined ? undefined : record.origin,
    );
    fs.adopt(inode, node);
  } else if (inode === fs.root) fs.adopt(inode, undefined);
  const { mode, uid, gid, nlink, atimeNs, mtimeNs, ctimeNs, btimeNs, blob, xattrs } = record;
  Object.assign(inode, { mode, uid, gid, nlink, atimeNs, mtimeNs, ctimeNs, btimeNs, blob, xattrs });
  inode.saved = true;
  inode.fresh = false;
}

/** The lower inode at `path`: names joined by slashes, empty for the root. */
function below(fs: TreeFs, path: ByteString): ImageNode | undefined {
  let node = fs.lower?.root;
  if (path === "") return node;
  for (const name of path.split("/")) node = node?.lookup(name);
  return node;
}
