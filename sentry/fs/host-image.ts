/** The `host` image: the host's own system directories as a lower tree, and nothing else of the host. */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, Errno } from "../abi/errno.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../abi/file.ts";
import {
  closeFd,
  HOST_O,
  type HostStat,
  openAt,
  openHostPath,
  readDirectory,
  readlinkAt,
  statAt,
  statFd,
} from "../host/fs.ts";
import type { Content, ImageEntry, ImageNode, NodeType } from "../image/tree.ts";
import { DirectoryCache } from "./directory-cache.ts";
import type { Lower, LowerContent } from "./tree/lower.ts";

/** What of the host's root is shown. Homes, /root, /run, /var, /srv, /mnt, /tmp never are. */
const SHOWN = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt", "etc"];

/** Directories every system has, which begin empty. */
const EMPTY: readonly (readonly [path: ByteString, mode: number])[] = [
  ["dev", 0o755],
  ["home", 0o755],
  ["mnt", 0o755],
  ["proc", 0o555],
  ["root", 0o700],
  ["run", 0o755],
  ["run/lock", 0o1777],
  ["srv", 0o755],
  ["sys", 0o555],
  ["tmp", 0o1777],
  ["var", 0o755],
  ["var/cache", 0o755],
  ["var/lib", 0o755],
  ["var/log", 0o755],
  ["var/spool", 0o755],
  ["var/tmp", 0o1777],
];

/** Symlinks every system has in the directories above. */
const LINKS: readonly (readonly [path: ByteString, target: ByteString])[] = [
  ["var/lock", "/run/lock"],
  ["var/run", "/run"],
];

/** Numbers of synthetic inodes are below this; those of the host's devices follow, each with its room. */
const DEVICE_ROOM = 2 ** 40;
const DEVICE_MAX = 16;

/** How many listings are remembered. */
const LISTINGS_MAX = 8;

const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

/**
 * Opens the host's system directories.
 * @param root the host's root directory (tests give another); followed as the operator's path.
 */
export function hostImage(root: ByteString = "/"): Lower | Errno {
  const fd = openHostPath(root, HOST_O.PATH | HOST_O.DIRECTORY);
  if (fd instanceof Errno) return fd;
  const stat = statFd(fd);
  if (stat instanceof Errno) return stat;
  const tree = new HostTree(fd, stat);
  return {
    root: tree.root,
    inodeMax: DEVICE_ROOM * (DEVICE_MAX + 1),
    open: (node) => (node instanceof HostNode ? tree.open(node) : EACCES),
    close: () => tree.close(),
  };
}

class HostTree {
  readonly root: SyntheticNode;
  readonly #directories: DirectoryCache<HostNode>;
  /** The devices of the shown directories; what is mounted below them is not shown. */
  readonly #devices: number[] = [];
  /** What the last listings have found: most who list a directory look at its files next. */
  readonly #listings = new Map<HostNode, ReadonlyMap<ByteString, HostNode>>();
  #nextIno = 1;

  constructor(rootFd: number, stat: HostStat) {
    this.#directories = new DirectoryCache(rootFd);
    this.root = new SyntheticNode(this.#nextIno++, S_IFDIR | 0o755, stat.mtimeNs, "");
    for (const [path, mode] of EMPTY) this.#synthesize(path, S_IFDIR | mode, "", stat.mtimeNs);
    for (const [path, target] of LINKS) {
      this.#synthesize(path, S_IFLNK | 0o777, target, stat.mtimeNs);
    }
    const hostRoot = new HostNode(this, undefined, "", stat, 0, "");
    for (const name of SHOWN) {
      const seen = statAt(rootFd, name);
      if (seen instanceof Errno) continue;
      if (!this.#devices.includes(seen.dev)) this.#devices.push(seen.dev);
      const node = this.node(hostRoot, rootFd, name, seen);
      if (node !== undefined) this.root.children.set(name, node);
    }
  }

  #synthesize(path: ByteString, mode: number, target: ByteString, mtime: bigint): void {
    const names = path.split("/");
    const name = names.pop() ?? "";
    let directory = this.root;
    for (const step of names) directory = directory.children.get(step) as SyntheticNode;
    directory.children.set(name, new SyntheticNode(this.#nextIno++, mode, mtime, target));
  }

  listed(directory: HostNode): ReadonlyMap<ByteString, HostNode> | undefined {
    return this.#listings.get(directory);
  }

  remember(directory: HostNode, nodes: ReadonlyMap<ByteString, HostNode>): void {
    this.#listings.delete(directory);
    this.#listings.set(directory, nodes);
    if (this.#listings.size <= LISTINGS_MAX) return;
    const [oldest] = this.#listings.keys();
    if (oldest !== undefined) this.#listings.delete(oldest);
  }

  /** A descriptor of a directory; stays ours. */
  directory(node: HostNode): number | Errno {
    return this.#directories.fd(node);
  }

  /** The node of what was just seen as `name`, or undefined when it is not for everybody to read. */
  node(parent: HostNode, fd: number, name: ByteString, stat: HostStat): HostNode | undefined {
    const device = this.#devices.indexOf(stat.dev);
    if (device < 0 || device >= DEVICE_MAX || !isPublic(stat.mode)) return undefined;
    const ino = DEVICE_ROOM * (device + 1) + (stat.ino % DEVICE_ROOM);
    const target = (stat.mode & S_IFMT) === S_IFLNK ? readlinkAt(fd, name) : "";
    if (target instanceof Errno) return undefined;
    return new HostNode(this, parent, name, stat, ino, target);
  }

  open(node: HostNode): LowerContent | Errno {
    const directory = node.parent === undefined ? EACCES : this.directory(node.parent);
    if (directory instanceof Errno) return directory;
    const fd = openAt(directory, node.name, HOST_O.RDONLY | HOST_O.NONBLOCK);
    if (fd instanceof Errno) return fd;
    const stat = statFd(fd);
    if (stat instanceof Errno || (stat.mode & S_IFMT) !== S_IFREG || !isPublic(stat.mode)) {
      closeFd(fd);
      return EACCES;
    }
    const close = () => closeFd(fd);
    return { fd, offset: 0, length: stat.size, mappable: true, direct: true, close };
  }

  close(): void {
    this.#directories.close();
  }
}

/** Whether everybody on the host may read it. Devices, FIFOs and sockets of the host are nobody's here. */
function isPublic(mode: number): boolean {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return (mode & 0o005) === 0o005;
    case S_IFREG:
      return (mode & 0o004) !== 0;
    default:
      return (mode & S_IFMT) === S_IFLNK;
  }
}

const TYPES: ReadonlyMap<number, NodeType> = new Map([
  [S_IFDIR, "directory"],
  [S_IFREG, "file"],
  [S_IFLNK, "symlink"],
]);

function typeOf(mode: number): NodeType {
  const type = TYPES.get(mode & S_IFMT);
  if (type === undefined) throw new Error("A node is a directory, a file or a symlink");
  return type;
}

/** A directory or symlink that only the image has. */
class SyntheticNode implements ImageNode {
  readonly ino: number;
  readonly type: NodeType;
  readonly mode: number;
  readonly uid = 0;
  readonly gid = 0;
  readonly size: number;
  readonly mtime: bigint;
  readonly nlink = 1;
  readonly rdev = 0;
  readonly target: ByteString;
  readonly children: Map<ByteString, ImageNode> = new Map();

  constructor(ino: number, mode: number, mtime: bigint, target: ByteString) {
    this.ino = ino;
    this.type = typeOf(mode);
    this.mode = mode;
    this.size = target.length;
    this.mtime = mtime;
    this.target = target;
  }

  xattrs(): ReadonlyMap<ByteString, Uint8Array> {
    return NO_XATTRS;
  }
  lookup(name: ByteString): ImageNode | undefined {
    return this.children.get(name);
  }
  *list(): Generator<ImageEntry> {
    for (const name of [...this.children.keys()].sort()) {
      const child = this.children.get(name);
      if (child !== undefined) yield { name, ino: child.ino, type: child.type };
    }
  }
  content(): Content | undefined {
    return undefined;
  }
}

/** A file of the host. */
class HostNode implements ImageNode {
  readonly parent: HostNode | undefined;
  readonly name: ByteString;
  readonly ino: number;
  readonly target: ByteString;
  readonly #tree: HostTree;
  readonly #stat: HostStat;

  constructor(
    tree: HostTree,
    parent: HostNode | undefined,
    name: ByteString,
    stat: HostStat,
    ino: number,
    target: ByteString,
  ) {
    this.#tree = tree;
    this.parent = parent;
    this.name = name;
    this.#stat = stat;
    this.ino = ino;
    this.target = target;
  }

  get type(): NodeType {
    return typeOf(this.#stat.mode);
  }
  get mode(): number {
    return this.#stat.mode;
  }
  get uid(): number {
    return this.#stat.uid;
  }
  get gid(): number {
    return this.#stat.gid;
  }
  get size(): number {
    return this.type === "directory" ? 0 : this.#stat.size;
  }
  get mtime(): bigint {
    return this.#stat.mtimeNs;
  }
  get nlink(): number {
    return this.type === "directory" ? 1 : this.#stat.nlink;
  }
  get rdev(): number {
    return 0;
  }

  isAlso(stat: HostStat): boolean {
    return stat.ino === this.#stat.ino && stat.dev === this.#stat.dev;
  }

  xattrs(): ReadonlyMap<ByteString, Uint8Array> {
    return NO_XATTRS;
  }

  lookup(name: ByteString): HostNode | undefined {
    if (this.type !== "directory") return undefined;
    return this.#tree.listed(this)?.get(name) ?? this.#see(name);
  }

  #see(name: ByteString): HostNode | undefined {
    const fd = this.#tree.directory(this);
    if (fd instanceof Errno) return undefined;
    const stat = statAt(fd, name);
    return stat instanceof Errno ? undefined : this.#tree.node(this, fd, name, stat);
  }

  *list(): Generator<ImageEntry> {
    if (this.type !== "directory") return;
    const directory = this.#tree.directory(this);
    if (directory instanceof Errno) return;
    const fd = openAt(directory, ".", HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) return;
    const entries = [...readDirectory(fd)];
    closeFd(fd);
    // A listing names only what a lookup would find.
    const nodes = new Map<ByteString, HostNode>();
    for (const { name } of entries) {
      const node = this.#see(name);
      if (node !== undefined) nodes.set(name, node);
    }
    this.#tree.remember(this, nodes);
    for (const [name, node] of nodes) yield { name, ino: node.ino, type: node.type };
  }

  content(): Content | undefined {
    return undefined;
  }
}
