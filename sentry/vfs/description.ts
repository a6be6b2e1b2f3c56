/** Open files as places in the tree: what the magic links of `/proc/PID/fd` lead to. */
import { Errno } from "../abi/errno.ts";
import { S_IFDIR } from "../abi/file.ts";
import { Dentry } from "./dentry.ts";
import { VfsFile } from "./file.ts";
import { FileSystem, Inode, type Stat, type Statfs } from "./inode.ts";
import { Mount, type MountNamespace, type Path } from "./mount.ts";
import type { OpenFile } from "./open-file.ts";

const ANON_INODE_FS_MAGIC = 0x09041934;

/** Where files without a place are; mounted nowhere. */
class DescriptionFs extends FileSystem {
  readonly type = "anon_inodefs";
  readonly root: Inode = new DescriptionRoot(this);

  statfs(): Statfs {
    const none = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
    return { type: ANON_INODE_FS_MAGIC, bsize: 4096, ...none };
  }
}

class DescriptionRoot extends Inode {
  readonly fs: DescriptionFs;
  readonly ino = 1;
  readonly mode: number = S_IFDIR | 0o500;
  readonly uid = 0;
  readonly gid = 0;

  constructor(fs: DescriptionFs) {
    super();
    this.fs = fs;
  }

  stat(): Stat {
    throw new Error("No path leads to the root of anonymous files");
  }
}

const FS = new DescriptionFs();

/** An open pipe, socket, terminal or the like, seen as an inode. */
class DescriptionInode extends Inode {
  readonly fs: FileSystem = FS;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  override readonly opensItself = true;
  readonly #file: OpenFile;

  constructor(file: OpenFile, stat: Stat) {
    super();
    this.#file = file;
    this.ino = stat.ino;
    this.mode = stat.mode;
    this.uid = stat.uid;
    this.gid = stat.gid;
  }

  stat(): Stat | Errno {
    return this.#file.stat();
  }

  override open(flags: number): OpenFile | Errno {
    return this.#file.reopen(flags);
  }
}

/** The place of an open file: its own, or one that stands for it. */
export function placeOfFile(file: OpenFile, namespace: MountNamespace): Path | Errno {
  if (file instanceof VfsFile) return file.path;
  const stat = file.stat();
  if (stat instanceof Errno) return stat;
  const dentry = new Dentry(file.name, FS.rootDentry, new DescriptionInode(file, stat));
  return { mount: new Mount(namespace, 0, FS.rootDentry, {}), dentry };
}
