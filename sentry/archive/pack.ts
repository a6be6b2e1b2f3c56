/** From a place in the tree to a tar archive, a piece at a time. */
import type { ByteString } from "../abi/bytes.ts";
import { ENOENT, Errno } from "../abi/errno.ts";
import {
  majorOf,
  minorOf,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../abi/file.ts";
import { BLOCK } from "../image/tar-header.ts";
import type { TarEntry, TarEntryType } from "../image/tar-reader.ts";
import { encodeHeader } from "../image/tar-writer.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { Inode, Stat } from "../vfs/inode.ts";
import { inodeAt, type Path } from "../vfs/mount.ts";
import { openPath } from "../vfs/open.ts";
import { OpenFile } from "../vfs/open-file.ts";
import { lookup } from "../vfs/resolve.ts";
import { FilesError, failed } from "./errors.ts";

/** Bytes of content read at once. */
const CHUNK_BYTES = 64 * 1024;
/** Directories below each other: no archive of a tree this deep could be unpacked. */
const DEPTH_MAX = 2048;
/** Files with several names that are remembered; of further ones each name becomes a file of its own. */
const LINKS_MAX = 1 << 20;

const NS_PER_S = 1_000_000_000n;
/** What ends an archive. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

const TYPES: ReadonlyMap<number, TarEntryType> = new Map([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFIFO, "fifo"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
]);

/** Writes the members of one archive; remembers which file has been in it under which name. */
export class Packer {
  readonly #actor: Actor;
  readonly #links = new Map<Inode, ByteString>();

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  /**
   * The member for one place: header and content. Nothing for a socket, which no archive can hold.
   * @param name its path in the archive, without a slash at the end.
   * @throws {FilesError} when the file cannot be read.
   */
  *member(place: Path, name: ByteString): Generator<Uint8Array> {
    const inode = inodeAt(place);
    const stat = inode.stat();
    if (stat instanceof Errno) throw failed("lstat", name, stat);
    const type = TYPES.get(stat.mode & S_IFMT);
    if (type === undefined) return;
    const earlier = type === "directory" ? undefined : this.#links.get(inode);
    if (earlier !== undefined) {
      yield encodeHeader({ ...this.#entry(inode, stat, "hardlink", name), link: earlier });
      return;
    }
    if (type !== "directory" && stat.nlink > 1 && this.#links.size < LINKS_MAX) {
      this.#links.set(inode, name);
    }
    if (type === "file") yield* this.#file(place, inode, name);
    else yield encodeHeader(this.#entry(inode, stat, type, name));
  }

  *#file(place: Path, inode: Inode, name: ByteString): Generator<Uint8Array> {
    const file = openPath(this.#actor, place, O_RDONLY);
    if (file instanceof Errno) throw failed("open", name, file);
    if (!(file instanceof OpenFile)) return;
    try {
      const stat = file.stat();
      if (stat instanceof Errno) throw failed("stat", name, stat);
      yield encodeHeader(this.#entry(inode, stat, "file", name));
      yield* contentOf(file, stat.size, name);
      yield TAR_END.subarray(0, (BLOCK - (stat.size % BLOCK)) % BLOCK);
    } finally {
      file.close();
    }
  }

  #entry(inode: Inode, stat: Stat, type: TarEntryType, name: ByteString): TarEntry {
    const target = type === "symlink" ? inode.readlink(this.#actor) : "";
    if (target instanceof Errno) throw failed("readlink", name, target);
    const device = type === "character" || type === "block";
    return {
      path: name,
      type,
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      size: type === "file" ? stat.size : 0,
      // Whole seconds, as docker's archives have them.
      mtime: stat.mtimeNs - (((stat.mtimeNs % NS_PER_S) + NS_PER_S) % NS_PER_S),
      link: target,
      major: device ? majorOf(stat.rdev) : 0,
      minor: device ? minorOf(stat.rdev) : 0,
      xattrs: type === "hardlink" ? new Map() : xattrsOf(inode),
    };
  }
}

/** Exactly `size` bytes: a file that somebody cuts meanwhile is filled up with zeros, as GNU tar does it. */
function* contentOf(file: OpenFile, size: number, name: ByteString): Generator<Uint8Array> {
  const buffer = HostBuffer.allocate(Math.min(CHUNK_BYTES, Math.max(size, 1)));
  for (let at = 0; at < size; ) {
    const wanted = Math.min(buffer.length, size - at);
    const count = file.pread(buffer.upTo(wanted), at);
    if (count instanceof Errno) throw failed("read", name, count);
    const length = count === 0 ? wanted : count;
    yield count === 0 ? new Uint8Array(length) : buffer.take(length);
    at += length;
  }
}

/** The attributes that belong to the file rather than to the machine it is on. */
function xattrsOf(inode: Inode): ReadonlyMap<ByteString, Uint8Array> {
  const names = inode.listxattr();
  const xattrs = new Map<ByteString, Uint8Array>();
  if (names instanceof Errno) return xattrs;
  for (const name of names) {
    if (name !== "security.capability" && !name.startsWith("user.")) continue;
    const value = inode.getxattr(name);
    if (!(value instanceof Errno)) xattrs.set(name, value);
  }
  return xattrs;
}

/** A directory on the way through a tree. */
interface Level {
  readonly place: Path;
  readonly names: Iterator<ByteString>;
  readonly prefix: ByteString;
}

/**
 * An archive of `place` and everything below it, mounts included, in the order of names. What disappears
 * on the way is left out.
 * @param name what `place` is called in the archive: its own name, `.`, `/` for the root, or nothing, then it
 *   is not in it itself.
 * @throws {FilesError} while it is read.
 */
export function* packTree(actor: Actor, place: Path, name: ByteString): Generator<Uint8Array> {
  const packer = new Packer(actor);
  if (name !== "") yield* packer.member(place, name);
  const levels: Level[] = [];
  const descend = (directory: Path, path: ByteString): void => {
    if (inodeAt(directory).type !== S_IFDIR) return;
    if (levels.length >= DEPTH_MAX) throw new FilesError("FILES_FAILED", "the tree is too deep");
    const prefix = path === "" || path.endsWith("/") ? path : `${path}/`;
    levels.push({ place: directory, names: namesIn(actor, directory), prefix });
  };
  descend(place, name);
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const next = level.names.next();
    if (next.done === true) {
      levels.pop();
      continue;
    }
    const child = lookup(actor, level.place, next.value, { noFollow: true });
    if (child === ENOENT) continue;
    if (child instanceof Errno) throw failed("lstat", level.prefix + next.value, child);
    yield* packer.member(child, level.prefix + next.value);
    descend(child, level.prefix + next.value);
  }
  yield TAR_END;
}

/** The names in a directory as they are now, in the order of their bytes. */
export function namesIn(actor: Actor, directory: Path): Iterator<ByteString> {
  const entries = inodeAt(directory).entries(actor);
  if (entries instanceof Errno) throw failed("open", directory.dentry.name, entries);
  return Array.from(entries, ({ name }) => name)
    .sort()
    .values();
}
