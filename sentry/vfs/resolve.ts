/** From a path name to a place in the tree, as path_resolution(7) and openat2(2) describe it. */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, Errno, EXDEV } from "../abi/errno.ts";
import {
  NAME_MAX,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFDIR,
  S_IFLNK,
} from "../abi/file.ts";
import { MAY_EXEC, mayAccess } from "./credentials.ts";
import { Dentry } from "./dentry.ts";
import { remember } from "./dentry-cache.ts";
import type { Actor } from "./fs-context.ts";
import type { Inode } from "./inode.ts";
import { type Mount, mountedOn, type Path } from "./mount.ts";

/** MAXSYMLINKS: how many symbolic links one walk may follow. */
export const SYMLINK_MAX = 40;

/** Negative dentries one directory keeps before it forgets them all. */
const NEGATIVE_MAX = 1024;

/** What a name that is about to be created, removed or replaced consists of. */
export interface Last {
  /** The directory that has, or would have, the name. */
  readonly parent: Path;
  readonly name: ByteString;
  /** Whether slashes followed the name: it must be a directory. */
  readonly slash: boolean;
  /** `name` unless the path ends in `.` or `..` or is `/`. */
  readonly kind: "name" | "dot" | "dotdot" | "root";
}

/** How to resolve a whole path. */
export interface LookupOptions {
  /** Do not follow a symlink in last place. */
  readonly noFollow?: boolean;
  /** An empty path means the start itself (`AT_EMPTY_PATH`). */
  readonly emptyPath?: boolean;
  /** `RESOLVE_*` of openat2(2). */
  readonly resolve?: number;
}

/**
 * The place `path` names.
 * @param start where relative paths begin.
 * @returns `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`, `ENAMETOOLONG`, `EXDEV`.
 */
export function lookup(
  actor: Actor,
  start: Path,
  path: ByteString,
  options: LookupOptions = {},
): Path | Errno {
  if (path.length === 0) return options.emptyPath === true ? start : ENOENT;
  const walk = new Walk(actor, start, options.resolve ?? 0);
  const failed = walk.run(path, options.noFollow !== true, false);
  return failed ?? { mount: walk.mount, dentry: walk.dentry };
}

/** The directory of the last component of `path`, and that component, which may not exist. */
export function lookupLast(actor: Actor, start: Path, path: ByteString, resolve = 0): Last | Errno {
  if (path.length === 0) return ENOENT;
  const walk = new Walk(actor, start, resolve);
  return walk.run(path, false, true) ?? walk.last();
}

/** The dentry of `name` in a directory: cached, or asked of the file system. @returns `ENOENT`. */
export function lookupChild(directory: Dentry, name: ByteString, actor: Actor): Dentry | Errno {
  const inode = directory.inode;
  if (inode === undefined) return ENOENT;
  const cached = directory.children?.get(name);
  if (cached !== undefined && (inode.fs.cachesNames || cached.mounts !== undefined)) {
    return cached.inode === undefined ? ENOENT : cached;
  }
  const found = inode.lookup(name, actor);
  if (found instanceof Errno) {
    if (found === ENOENT) forget(directory, name, cached, inode);
    return found;
  }
  if (cached !== undefined && cached.inode === found) return cached;
  cached?.unhash();
  const dentry = new Dentry(name, directory, found);
  remember(directory, dentry);
  return dentry;
}

function forget(directory: Dentry, name: ByteString, cached: Dentry | undefined, inode: Inode) {
  if (!inode.fs.cachesNames) {
    cached?.unhash();
    return;
  }
  if (directory.negatives >= NEGATIVE_MAX) directory.dropNegatives();
  directory.negatives++;
  remember(directory, new Dentry(name, directory, undefined));
}

/** Whether the actor may pass through a directory. */
export function maySearch(actor: Actor, directory: Inode): boolean {
  // Nearly every directory lets everybody through.
  return (directory.mode & 0o111) === 0o111 || mayAccess(actor.credentials, directory, MAY_EXEC);
}

/** One resolution, with what it remembers over symlinks. */
export class Walk {
  mount: Mount;
  dentry: Dentry;
  readonly #actor: Actor;
  readonly #root: Path;
  readonly #resolve: number;
  #links = 0;
  #name: ByteString = "";
  #slash = false;
  #kind: Last["kind"] = "root";

  constructor(actor: Actor, start: Path, resolve: number) {
    this.#actor = actor;
    this.#root = (resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) !== 0 ? start : actor.fs.root;
    this.#resolve = resolve;
    this.mount = start.mount;
    this.dentry = start.dentry;
  }

  /** The last component, after a run that stopped before it. */
  last(): Last {
    return {
      parent: { mount: this.mount, dentry: this.dentry },
      name: this.#name,
      slash: this.#slash,
      kind: this.#kind,
    };
  }

  /**
   * Walks `path` from where the walk stands.
   * @param follow follow a symlink in last place.
   * @param toParent stop at the directory of the last component.
   */
  run(path: ByteString, follow: boolean, toParent: boolean): Errno | undefined {
    let rest = path;
    let at = 0;
    this.#kind = "root";
    if (rest.charCodeAt(0) === SLASH) {
      const failed = this.#toRoot();
      if (failed !== undefined) return failed;
      at = skipSlashes(rest, 0);
    }
    while (at < rest.length) {
      let end = rest.indexOf("/", at);
      if (end < 0) end = rest.length;
      const name = rest.slice(at, end);
      const next = end === rest.length ? end : skipSlashes(rest, end);
      const isLast = next === rest.length;
      const directory = this.dentry.inode;
      if (directory === undefined || directory.type !== S_IFDIR) return ENOTDIR;
      if (!maySearch(this.#actor, directory)) return EACCES;
      if (name.length > NAME_MAX) return ENAMETOOLONG;
      if (isLast && toParent) {
        this.#name = name;
        this.#slash = next > end;
        this.#kind = name === "." ? "dot" : name === ".." ? "dotdot" : "name";
        return undefined;
      }
      at = next;
      if (name === ".") continue;
      if (name === "..") {
        const failed = this.#up();
        if (failed !== undefined) return failed;
        continue;
      }
      const child = lookupChild(this.dentry, name, this.#actor);
      if (child instanceof Errno) return child;
      const inode = child.inode as Inode;
      if (inode.type === S_IFLNK && (!isLast || follow || next > end)) {
        const target = this.follow(inode);
        if (target instanceof Errno) return target;
        if (target !== undefined) {
          const remaining = next > end ? `/${rest.slice(next)}` : "";
          rest = target + remaining;
          at = 0;
          if (rest.charCodeAt(0) === SLASH) {
            const failed = this.#toRoot();
            if (failed !== undefined) return failed;
            at = skipSlashes(rest, 0);
          }
        } else if (next > end && this.dentry.inode?.type !== S_IFDIR) {
          return ENOTDIR;
        }
        continue;
      }
      const failed = this.enter(child);
      if (failed !== undefined) return failed;
      if (next > end && isLast && this.dentry.inode?.type !== S_IFDIR) return ENOTDIR;
    }
    return undefined;
  }

  #toRoot(): Errno | undefined {
    if ((this.#resolve & RESOLVE_BENEATH) !== 0) return EXDEV;
    if ((this.#resolve & RESOLVE_NO_XDEV) !== 0 && this.#root.mount !== this.mount) return EXDEV;
    this.mount = this.#root.mount;
    this.dentry = this.#root.dentry;
    return undefined;
  }

  #up(): Errno | undefined {
    const root = this.#root;
    for (;;) {
      if (this.mount === root.mount && this.dentry === root.dentry) {
        return (this.#resolve & RESOLVE_BENEATH) !== 0 ? EXDEV : undefined;
      }
      if (this.dentry !== this.mount.root) {
        this.dentry = this.dentry.parent;
        return this.#cover();
      }
      const { at } = this.mount;
      if (at === undefined) return undefined;
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0) return EXDEV;
      this.mount = at.mount;
      this.dentry = at.dentry;
    }
  }

  /** Goes to a child of where the walk stands, and onto what is mounted there. */
  enter(child: Dentry): Errno | undefined {
    this.dentry = child;
    return this.#cover();
  }

  /** Steps onto what is mounted here. */
  #cover(): Errno | undefined {
    while (this.dentry.mounts !== undefined) {
      const mount = mountedOn(this.mount, this.dentry);
      if (mount === undefined) return undefined;
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0) return EXDEV;
      this.mount = mount;
      this.dentry = mount.root;
    }
    return undefined;
  }

  /**
   * Follows a symlink found where the walk stands.
   * @returns the text to go on with, or undefined after a magic link has moved the walk itself.
   */
  follow(link: Inode): ByteString | Errno | undefined {
    if ((this.#resolve & RESOLVE_NO_SYMLINKS) !== 0) return ELOOP;
    if (++this.#links > SYMLINK_MAX) return ELOOP;
    const magic = link.magicLink(this.#actor);
    if (magic !== undefined) {
      if (magic instanceof Errno) return magic;
      if ((this.#resolve & RESOLVE_NO_MAGICLINKS) !== 0) return ELOOP;
      if ((this.#resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return EXDEV;
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0 && magic.mount !== this.mount) return EXDEV;
      this.mount = magic.mount;
      this.dentry = magic.dentry;
      return undefined;
    }
    const target = link.readlink(this.#actor);
    return target === "" ? ENOENT : target;
  }
}

const SLASH = 0x2f;

function skipSlashes(path: ByteString, from: number): number {
  let at = from;
  while (path.charCodeAt(at) === SLASH) at++;
  return at;
}
