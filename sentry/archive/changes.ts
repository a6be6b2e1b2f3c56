/** What a container has changed of its image: what `docker diff` shows and `docker commit` keeps. */
import type { ByteString } from "../abi/bytes.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../abi/file.ts";
import type { TreeFs } from "../fs/tree/tree-fs.ts";
import type { TreeInode } from "../fs/tree/tree-inode.ts";
import type { ImageNode } from "../image/tree.ts";
import type { FileChange } from "../spec.ts";

/**
 * What is made in every container so that something can be mounted there: no change of the user's, as long
 * as there is nothing in it. Docker keeps these in a layer of their own.
 */
const MOUNT_POINTS: ReadonlySet<ByteString> = new Set([
  "/.dockerenv",
  "/dev",
  "/dev/console",
  "/dev/mqueue",
  "/dev/pts",
  "/dev/shm",
  "/etc",
  "/etc/hostname",
  "/etc/hosts",
  "/etc/mtab",
  "/etc/resolv.conf",
  "/proc",
  "/sys",
]);

/**
 * All changes, a directory before what is in it, in the order of names. A directory is changed when
 * something in it is, or when its own owner, mode or attributes are; where it stands in the place of
 * another, what both have alike is no change.
 */
export function changesOf(fs: TreeFs): readonly FileChange[] {
  const search = new ChangeSearch(fs);
  search.visit(fs.root, fs.lower?.root, "");
  return search.changes;
}

class ChangeSearch {
  readonly changes: FileChange[] = [];
  readonly #fs: TreeFs;
  /** Inodes of the image on the way to something that has changed in its place. */
  readonly #touched = new Set<ImageNode>();

  constructor(fs: TreeFs) {
    this.#fs = fs;
    for (const inode of fs.keptInodes()) this.#touch(inode.record().origin);
  }

  /**
   * Looks at a directory.
   * @param now the directory as it is. @param before what the image has at `path`.
   */
  visit(now: TreeInode, before: ImageNode | undefined, path: ByteString): void {
    for (const name of this.#namesToLookAt(now, before)) {
      const found = now.lookup(name);
      const inode = isInode(found) ? found : undefined;
      this.#compare(inode, before?.lookup(name), `${path}/${name}`);
    }
  }

  #touch(origin: ByteString | undefined): void {
    let node = this.#fs.lower?.root;
    if (origin === undefined || origin === "") return;
    for (const name of origin.split("/")) {
      node = node?.lookup(name);
      if (node === undefined) return;
      this.#touched.add(node);
    }
  }

  #namesToLookAt(now: TreeInode, before: ImageNode | undefined): readonly ByteString[] {
    const names = new Set<ByteString>();
    if (before !== undefined && now.lower === before) {
      // In its place: nothing has changed but what the upper layer knows of.
      for (const name of now.children?.keys() ?? []) names.add(name);
      for (const { name } of this.#hasTouched(before) ? before.list() : []) {
        const node = before.lookup(name);
        if (node !== undefined && this.#touched.has(node)) names.add(name);
      }
    } else {
      for (const { name } of now.entries()) names.add(name);
      for (const { name } of before?.type === "directory" ? before.list() : []) names.add(name);
    }
    return [...names].sort();
  }

  #hasTouched(node: ImageNode): boolean {
    return node === this.#fs.lower?.root || this.#touched.has(node);
  }

  #compare(now: TreeInode | undefined, before: ImageNode | undefined, path: ByteString): void {
    if (now === undefined) {
      if (before !== undefined) this.changes.push({ path, kind: "deleted" });
      return;
    }
    const isDirectory = now.type === S_IFDIR;
    const at = this.changes.length;
    const wasDirectory = before?.type === "directory";
    if (isDirectory) this.visit(now, wasDirectory ? before : undefined, path);
    const within = this.changes.length > at;
    if (MOUNT_POINTS.has(path) && !within && isEmptyMountPoint(now, before)) return;
    const own = before === undefined || isDifferent(now, before);
    if (!own && !within) return;
    this.changes.splice(at, 0, { path, kind: before === undefined ? "added" : "modified" });
  }
}

function isInode(value: object): value is TreeInode {
  return "ino" in value;
}

function isEmptyMountPoint(now: TreeInode, before: ImageNode | undefined): boolean {
  if (before !== undefined) return false;
  if (now.type === S_IFDIR) return now.isEmpty();
  if (now.type === S_IFREG) now.refresh();
  return now.size === 0;
}

/** What docker compares: type, mode, owner, attributes; of a file also length and time. */
function isDifferent(now: TreeInode, before: ImageNode): boolean {
  if (now.type === S_IFREG && now.blob) now.refresh();
  const differs =
    now.mode !== before.mode ||
    now.uid !== before.uid ||
    now.gid !== before.gid ||
    now.rdev !== before.rdev ||
    now.target !== before.target;
  if (differs) return true;
  const isFile = (now.mode & S_IFMT) === S_IFREG;
  // Another file of the image that has been moved here may have the same length and time.
  if (isFile && !now.blob && now.lower !== before) return true;
  if (isFile && (now.size !== before.size || now.mtimeNs !== before.mtime)) return true;
  const xattrs = before.xattrs();
  if (xattrs.size !== now.xattrs.size) return true;
  for (const [name, value] of now.xattrs) {
    const other = xattrs.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return true;
  }
  return false;
}
