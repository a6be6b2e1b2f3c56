import type { ByteString } from "../abi/bytes.ts";
import { ImageError, quoted } from "./errors.ts";
import {
  DEPTH_MAX,
  LAYER_NAME_BYTES_MAX,
  NAME_BYTES_MAX,
  PATH_BYTES_MAX,
  SYMLINKS_MAX,
} from "./limits.ts";
import { modeOf, S_IFDIR, S_IFMT, typeBits } from "./mode.ts";
import type { TarEntry } from "./tar-reader.ts";

/** An inode of a layer under construction. `nlink` counts the names it has in the layer. */
export interface BuildInode {
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: bigint;
  rdev: number;
  /** Where the content is; see {@link PackWriter}. */
  shared: boolean;
  offset: number;
  nlink: number;
  /** A symlink's target, or the path in lower layers that a hard link names. */
  target: ByteString;
  xattrs: ReadonlyMap<ByteString, Uint8Array>;
  /** Of a directory. */
  children: Map<ByteString, BuildInode> | undefined;
  whiteouts: Set<ByteString> | undefined;
  opaque: boolean;
  /** A directory that no archive entry has described: it takes after the one below it. */
  implicit: boolean;
  /** Whether everybody may reach the inodes in this directory. */
  searchable: boolean;
  depth: number;
}

/** `mode` of a {@link BuildInode} that is a hard link to a file of a lower layer. */
export const LINK_BELOW = 0;

const WHITEOUT = ".wh.";
/** aufs' bookkeeping, which old archives contain; only one of them means anything to others. */
const WHITEOUT_META = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";
const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();
const IMPLICIT_MODE = S_IFDIR | 0o755;

interface Place {
  readonly directory: BuildInode;
  readonly name: ByteString;
}

/**
 * The file tree of a layer while its archive streams by: each entry is put where the archive says,
 * in this tree and nowhere else. No name ever becomes a host path. Symlinks in the parents of a
 * name are followed within the tree, as extracting into an empty root directory would do.
 */
export class LayerBuilder {
  readonly root: BuildInode = directory(undefined);
  /** Hard links to files of lower layers, to be checked when the image is complete. */
  readonly linksBelow: ByteString[] = [];
  #nameBytes = 0;

  /**
   * Adds one entry.
   * @returns the inode whose content follows, when the entry is a file of at least one byte
   * @throws {ImageError} LAYER_PATH, LAYER_ENTRY, LAYER_LINK, LAYER_WHITEOUT, LAYER_LIMIT
   */
  add(entry: TarEntry): BuildInode | undefined {
    const components = split(entry.path);
    this.#nameBytes += entry.path.length + entry.link.length;
    for (const [name, value] of entry.xattrs) this.#nameBytes += name.length + value.length;
    if (this.#nameBytes > LAYER_NAME_BYTES_MAX) {
      throw new ImageError("LAYER_LIMIT", `${LAYER_NAME_BYTES_MAX} bytes of names`);
    }
    const name = components.pop();
    if (name === undefined) {
      if (entry.type !== "directory") {
        throw new ImageError("LAYER_ENTRY", `the root directory is a ${entry.type}`);
      }
      describe(this.root, entry);
      return undefined;
    }
    if (components.some(isMeta) || (isMeta(name) && name !== OPAQUE)) return undefined;
    for (const component of components) {
      if (component.startsWith(WHITEOUT)) {
        throw new ImageError("LAYER_WHITEOUT", `${quoted(entry.path)} is inside of a whiteout`);
      }
    }
    const parent = this.#walk(components, entry.path, true);
    if (name.startsWith(WHITEOUT)) {
      whiteout(parent, name, entry);
      return undefined;
    }
    if (entry.type === "hardlink") {
      this.#link({ directory: parent, name }, entry);
      return undefined;
    }
    return this.#place({ directory: parent, name }, entry);
  }

  #place(place: Place, entry: TarEntry): BuildInode | undefined {
    const { directory: parent, name } = place;
    const existing = parent.children?.get(name);
    if (entry.type === "directory") {
      if (existing?.children !== undefined) {
        describe(existing, entry);
        return undefined;
      }
      const made = directory(parent);
      describe(made, entry);
      // What was there is hidden, and so is what lower layers have of that name.
      made.opaque = existing !== undefined || parent.whiteouts?.delete(name) === true;
      put(place, made);
      return undefined;
    }
    const inode = fromEntry(entry, parent);
    put(place, inode);
    return entry.type === "file" && entry.size > 0 ? inode : undefined;
  }

  #link(place: Place, entry: TarEntry): void {
    const components = split(entry.link);
    const name = components.pop();
    if (name === undefined) {
      throw new ImageError("LAYER_LINK", `${quoted(entry.path)} is a link to the root directory`);
    }
    const parent = this.#walk(components, entry.path, false);
    const target = parent?.children?.get(name);
    if (target?.children !== undefined) {
      throw new ImageError("LAYER_LINK", `${quoted(entry.path)} is a link to a directory`);
    }
    if (target !== undefined) {
      if (place.directory.children?.get(place.name) === target) return;
      put(place, target);
      return;
    }
    const path = [...components, name].join("/");
    if (parent?.opaque || parent?.whiteouts?.has(name)) {
      throw new ImageError("LAYER_LINK", `${quoted(entry.path)} links to ${quoted(path)}`);
    }
    this.linksBelow.push(path);
    put(place, { ...fromEntry(entry, place.directory), mode: LINK_BELOW, target: path });
  }

  /** The directory at `components`; missing ones are made, or undefined is returned. */
  #walk(components: ByteString[], path: ByteString, make: true): BuildInode;
  #walk(components: ByteString[], path: ByteString, make: false): BuildInode | undefined;
  #walk(components: ByteString[], path: ByteString, make: boolean): BuildInode | undefined {
    const trail: BuildInode[] = [this.root];
    const left = components.toReversed();
    let symlinks = 0;
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (trail.length > 1) trail.pop();
        continue;
      }
      const here = trail.at(-1) ?? this.root;
      const next = here.children?.get(name);
      if (next === undefined) {
        if (!make) return undefined;
        if (here.depth >= DEPTH_MAX) {
          throw new ImageError("LAYER_LIMIT", `${quoted(path)} is too deep`);
        }
        const made = directory(here);
        made.opaque = here.whiteouts?.delete(name) === true;
        put({ directory: here, name }, made);
        trail.push(made);
      } else if (next.children !== undefined) {
        trail.push(next);
      } else if (typeBits("symlink") === (next.mode & S_IFMT)) {
        if (++symlinks > SYMLINKS_MAX) {
          throw new ImageError("LAYER_PATH", `${quoted(path)} goes through too many symlinks`);
        }
        if (next.target.startsWith("/")) trail.length = 1;
        left.push(...next.target.split("/").reverse());
      } else {
        throw new ImageError("LAYER_ENTRY", `${quoted(path)} goes through what is no directory`);
      }
    }
    return trail.at(-1);
  }
}

/**
 * The components of a name in an archive, relative to the layer's root.
 * @throws {ImageError} LAYER_PATH when one is `..`, LAYER_ENTRY when it cannot be a Linux path
 */
function split(path: ByteString): ByteString[] {
  if (path === "") throw new ImageError("LAYER_ENTRY", "an entry without a name");
  if (path.length > PATH_BYTES_MAX) throw new ImageError("LAYER_LIMIT", `${quoted(path)} is long`);
  if (path.includes("\0")) throw new ImageError("LAYER_ENTRY", `${quoted(path)} has a NUL byte`);
  const components: ByteString[] = [];
  for (const component of path.split("/")) {
    if (component === "" || component === ".") continue;
    if (component === "..") throw new ImageError("LAYER_PATH", quoted(path));
    if (component.length > NAME_BYTES_MAX) {
      throw new ImageError("LAYER_LIMIT", `${quoted(component)} is a long name`);
    }
    components.push(component);
  }
  return components;
}

function isMeta(name: ByteString): boolean {
  return name.startsWith(WHITEOUT_META);
}

/** Records that lower layers have nothing called `name`. See the OCI image layer specification. */
function whiteout(parent: BuildInode, name: ByteString, entry: TarEntry): void {
  if (entry.type !== "file" && entry.type !== "hardlink") {
    throw new ImageError("LAYER_WHITEOUT", `${quoted(entry.path)} is a ${entry.type}`);
  }
  if (name === OPAQUE) {
    parent.opaque = true;
    return;
  }
  const hidden = name.slice(WHITEOUT.length);
  if (hidden === "" || hidden === "." || hidden === "..") {
    throw new ImageError("LAYER_WHITEOUT", quoted(entry.path));
  }
  const existing = parent.children?.get(hidden);
  if (existing?.children !== undefined) existing.opaque = true;
  else if (existing === undefined) {
    parent.whiteouts ??= new Set();
    parent.whiteouts.add(hidden);
  }
}

function put({ directory: parent, name }: Place, inode: BuildInode): void {
  parent.children ??= new Map();
  const old = parent.children.get(name);
  if (old !== undefined) old.nlink--;
  parent.whiteouts?.delete(name);
  parent.children.set(name, inode);
  inode.nlink++;
}

function directory(parent: BuildInode | undefined): BuildInode {
  return {
    mode: IMPLICIT_MODE,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0n,
    rdev: 0,
    shared: false,
    offset: 0,
    nlink: 0,
    target: "",
    xattrs: NO_XATTRS,
    children: new Map(),
    whiteouts: undefined,
    opaque: false,
    implicit: true,
    searchable: parent?.searchable ?? true,
    depth: (parent?.depth ?? 0) + 1,
  };
}

function describe(inode: BuildInode, entry: TarEntry): void {
  inode.mode = modeOf("directory", entry.mode);
  inode.uid = entry.uid;
  inode.gid = entry.gid;
  inode.mtime = entry.mtime;
  inode.xattrs = entry.xattrs;
  inode.implicit = false;
  inode.searchable = inode.searchable && (entry.mode & 0o001) !== 0;
}

function fromEntry(entry: TarEntry, parent: BuildInode): BuildInode {
  if (entry.type === "symlink" && (entry.link === "" || entry.link.includes("\0"))) {
    throw new ImageError("LAYER_ENTRY", `${quoted(entry.path)} is a symlink to nothing`);
  }
  if (entry.link.length > PATH_BYTES_MAX) {
    throw new ImageError("LAYER_LIMIT", `${quoted(entry.path)} has a long target`);
  }
  const mode = entry.type === "hardlink" ? LINK_BELOW : modeOf(entry.type, entry.mode);
  return {
    ...directory(parent),
    mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.type === "symlink" ? entry.link.length : entry.size,
    mtime: entry.mtime,
    rdev: makedev(entry.major, entry.minor),
    shared: parent.searchable && (entry.mode & 0o004) !== 0,
    target: entry.type === "symlink" ? entry.link : "",
    xattrs: entry.xattrs,
    children: undefined,
    implicit: false,
  };
}

/** How stat(2) writes a device number of 12 and 20 bits. See makedev(3). */
function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
