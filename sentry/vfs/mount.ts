import type { ByteString } from "../abi/bytes.ts";
import { ENODEV, type Errno } from "../abi/errno.ts";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from "../abi/file.ts";
import type { Dentry } from "./dentry.ts";
import type { FileSystem, Inode } from "./inode.ts";
import { SpecialFiles } from "./special.ts";

/** A place in the file tree: a dentry, as seen through one mount. */
export interface Path {
  readonly mount: Mount;
  readonly dentry: Dentry;
}

/** An existing place: its inode. Only negative dentries have none, and no path leads to those. */
export function inodeAt(path: Path): Inode {
  const { inode } = path.dentry;
  if (inode === undefined) throw new Error("A path leads to a negative dentry");
  return inode;
}

/** How a mount is set up. */
export interface MountOptions {
  /** `MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC`. */
  readonly flags?: number;
  /** First column of `/proc/mounts`; default: the type's name. */
  readonly source?: ByteString;
}

/** One attachment of a file system, or of a subtree of it (bind), to the tree. */
export class Mount {
  readonly id: number;
  readonly fs: FileSystem;
  readonly root: Dentry;
  readonly namespace: MountNamespace;
  readonly source: ByteString;
  flags: number;
  /** Where it is attached; absent for the root of a namespace and for what has been detached. */
  at: Path | undefined = undefined;

  constructor(namespace: MountNamespace, id: number, root: Dentry, options: MountOptions) {
    if (root.inode === undefined) throw new Error("A mount needs a root that exists");
    this.namespace = namespace;
    this.id = id;
    this.fs = root.inode.fs;
    this.root = root;
    this.flags = options.flags ?? 0;
    this.source = options.source ?? this.fs.type;
  }

  get readOnly(): boolean {
    return (this.flags & MS_RDONLY) !== 0 || this.fs.readOnly;
  }
  get noSuid(): boolean {
    return (this.flags & MS_NOSUID) !== 0;
  }
  get noDev(): boolean {
    return (this.flags & MS_NODEV) !== 0;
  }
  get noExec(): boolean {
    return (this.flags & MS_NOEXEC) !== 0;
  }

  /** The path of the mount's own root. */
  get rootPath(): Path {
    return { mount: this, dentry: this.root };
  }
}

/** The most mounts of one container: `fs.mount-max` is 100000 in Linux; no container needs that. */
export const MOUNT_MAX = 4096;

/** All mounts of a container. See mount_namespaces(7). */
export class MountNamespace {
  readonly mounts: Set<Mount> = new Set();
  /** What device nodes and FIFOs anywhere in the tree open. */
  readonly special: SpecialFiles = new SpecialFiles();
  /** Makes a file system for mount(2). @returns `ENODEV` for a type that cannot be mounted here. */
  makeFileSystem: (type: ByteString, data: ByteString) => FileSystem | Errno = () => ENODEV;
  #root: Mount;
  #nextId = 21;

  /** @param root the file system that becomes `/`. */
  constructor(root: FileSystem, options: MountOptions = {}) {
    this.#root = new Mount(this, this.#nextId++, root.rootDentry, options);
    this.mounts.add(this.#root);
  }

  get root(): Mount {
    return this.#root;
  }

  /** Attaches the tree below `root` on top of `at`, above whatever is mounted there already. */
  attach(root: Dentry, at: Path, options: MountOptions = {}): Mount {
    const mount = new Mount(this, this.#nextId++, root, options);
    this.#place(mount, at);
    this.mounts.add(mount);
    return mount;
  }

  /** Takes `mount` out of the tree. Open files keep working. */
  detach(mount: Mount): void {
    this.#displace(mount);
    this.mounts.delete(mount);
  }

  /** Moves an attached mount. */
  move(mount: Mount, at: Path): void {
    this.#displace(mount);
    this.#place(mount, at);
  }

  /** Makes `mount` the root and attaches the old root at `putOld`. See pivot_root(2). */
  pivot(mount: Mount, putOld: Path): void {
    const old = this.#root;
    this.#displace(mount);
    this.#root = mount;
    this.#place(old, putOld);
  }

  /** The mounts directly on top of some dentry of `mount`. */
  *childrenOf(mount: Mount): Iterable<Mount> {
    for (const candidate of this.mounts) if (candidate.at?.mount === mount) yield candidate;
  }

  #place(mount: Mount, at: Path): void {
    at.dentry.mounts ??= [];
    at.dentry.mounts.push(mount);
    mount.at = at;
  }

  #displace(mount: Mount): void {
    const { at } = mount;
    if (at === undefined) return;
    const rest = at.dentry.mounts?.filter((other) => other !== mount) ?? [];
    at.dentry.mounts = rest.length === 0 ? undefined : rest;
    mount.at = undefined;
  }
}

/** The mount on top of `dentry` as seen through `mount`, if there is one. */
export function mountedOn(mount: Mount, dentry: Dentry): Mount | undefined {
  const { mounts } = dentry;
  if (mounts === undefined) return undefined;
  for (let i = 0; i < mounts.length; i++) if (mounts[i]?.at?.mount === mount) return mounts[i];
  return undefined;
}

/**
 * The absolute name of a place as seen from `root`: what getcwd(2) and `/proc/PID/fd` show.
 * @returns a name that begins with `(unreachable)` when the place is not below `root`; the suffix
 *   ` (deleted)` when its name is gone.
 */
export function pathName(path: Path, root: Path): ByteString {
  let { mount, dentry } = path;
  let name = "";
  const deleted = dentry.hashed ? "" : " (deleted)";
  for (;;) {
    if (mount === root.mount && dentry === root.dentry) return (name || "/") + deleted;
    if (dentry === mount.root) {
      if (mount.at === undefined) {
        const reachable = mount === mount.namespace.root && root.dentry === mount.root;
        return `${reachable ? "" : "(unreachable)"}${name || "/"}${deleted}`;
      }
      ({ mount, dentry } = mount.at);
      continue;
    }
    name = `/${dentry.name}${name}`;
    dentry = dentry.parent;
  }
}
