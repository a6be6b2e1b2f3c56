import type { ByteString } from "../abi/bytes.ts";
import type { Inode } from "./inode.ts";
import type { Mount } from "./mount.ts";

/**
 * A name in a directory, and the inode it leads to. Dentries of one directory are unique per name while
 * they are hashed (in their parent's `children`); an unlinked one lives on in open files and working
 * directories, unhashed.
 */
export class Dentry {
  name: ByteString;
  /** The directory's dentry; the root of a file system is its own parent. */
  parent: Dentry;
  /** Absent for a negative dentry: the name is known not to exist. */
  inode: Inode | undefined;
  children: Map<ByteString, Dentry> | undefined = undefined;
  /** Whether the name still leads here. */
  hashed = true;
  /** How many of `children` are negative, at most: a hint for forgetting them. */
  negatives = 0;
  /** The mounts on top of this dentry, at most one per mount that the dentry is seen through. */
  mounts: Mount[] | undefined = undefined;

  constructor(name: ByteString, parent: Dentry | undefined, inode: Inode | undefined) {
    this.name = name;
    this.parent = parent ?? this;
    this.inode = inode;
  }

  get isRoot(): boolean {
    return this.parent === this;
  }

  /** The child with `name` that is already known, positive or negative. */
  cached(name: ByteString): Dentry | undefined {
    return this.children?.get(name);
  }

  /** Makes `child` the one dentry for its name here. */
  hash(child: Dentry): void {
    this.children ??= new Map();
    this.children.set(child.name, child);
    child.parent = this;
    child.hashed = true;
  }

  /** The name no longer leads here. */
  unhash(): void {
    if (this.parent.children?.get(this.name) === this) this.parent.children.delete(this.name);
    this.hashed = false;
  }

  /** Forgets which names do not exist here. */
  dropNegatives(): void {
    for (const [name, child] of this.children ?? []) {
      if (child.inode === undefined) this.children?.delete(name);
    }
    this.negatives = 0;
  }

  /** Whether `this` is `ancestor` or lies below it. */
  isWithin(ancestor: Dentry): boolean {
    for (let dentry: Dentry = this; ; dentry = dentry.parent) {
      if (dentry === ancestor) return true;
      if (dentry.isRoot) return false;
    }
  }
}
