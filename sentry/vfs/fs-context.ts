import type { Credentials } from "./credentials.ts";
import type { Path } from "./mount.ts";

/** Where a process is in the file tree: what `CLONE_FS` shares. */
export class FsContext {
  /** What `/` means; changed by chroot(2). */
  root: Path;
  /** The working directory. */
  cwd: Path;
  /** The permission bits that new files do not get; see umask(2). */
  umask: number;

  constructor(root: Path, cwd: Path = root, umask = 0o022) {
    this.root = root;
    this.cwd = cwd;
    this.umask = umask;
  }

  /** The copy a forked child starts with. */
  clone(): FsContext {
    return new FsContext(this.root, this.cwd, this.umask);
  }
}

/** Whoever walks paths and opens files. A `Task` has this shape; file systems see no more of it. */
export interface Actor {
  readonly fs: FsContext;
  readonly credentials: Credentials;
  /** Its thread id, for `/proc/thread-self`. */
  readonly tid: number;
  readonly process: { readonly pid: number };
}
