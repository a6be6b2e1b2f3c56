/** From a tar archive into a directory of the tree. */
import { posix } from "node:path";
import { type ByteString, toText } from "../abi/bytes.ts";
import { ENOENT, ENOTDIR, ENOTEMPTY, EOPNOTSUPP, EPERM, Errno } from "../abi/errno.ts";
import {
  makeDev,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
} from "../abi/file.ts";
import { readTar, type TarEntry, type TarVisitor } from "../image/tar-reader.ts";
import { chmod, chown, setTimes } from "../vfs/attributes.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import { inodeAt, type Path } from "../vfs/mount.ts";
import * as namei from "../vfs/namei.ts";
import { openNow } from "../vfs/open.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { lookup } from "../vfs/resolve.ts";
import { setxattr } from "../vfs/xattr.ts";
import { FilesError, failed } from "./errors.ts";
import { namesIn } from "./pack.ts";

/** Directories below each other that are removed to make room for something else. */
const DEPTH_MAX = 2048;
/** Directories whose times are set when everything is in them; of further ones they stay those of now. */
const LATE_TIMES_MAX = 1 << 18;

export interface UnpackHow {
  /** Names in the archive begin with `to` instead of `from`, which is one name, or `.` for all there is. */
  readonly rebase?: { readonly from: ByteString; readonly to: ByteString } | undefined;
  /** Refuse to replace a directory by something else, or something else by a directory. */
  readonly noOverwriteDirNonDir: boolean;
  /** Who everything is to belong to; absent: whom the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Unpacks a tar archive below a directory. Every name is looked up in the container's tree, so that it can
 * lead nowhere else, whatever a running guest does meanwhile.
 * @throws {FilesError}; what was unpacked before stays.
 */
export async function unpack(
  actor: Actor,
  destination: Path,
  how: UnpackHow,
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  const unpacker = new Unpacker(actor, destination, how);
  try {
    await readTar(source, unpacker);
    unpacker.finish();
  } catch (error) {
    unpacker.abandon();
    const { code } = error as { code?: unknown };
    if (error instanceof FilesError || typeof code !== "string") throw error;
    throw new FilesError("BAD_ARCHIVE", (error as Error).message, { cause: error });
  }
}

class Unpacker implements TarVisitor {
  readonly #actor: Actor;
  readonly #destination: Path;
  readonly #how: UnpackHow;
  /** The file whose content comes now, and how much has come. */
  #file: OpenFile | undefined;
  #entry: TarEntry | undefined;
  #at = 0;
  readonly #late: { readonly path: ByteString; readonly mtime: bigint }[] = [];

  constructor(actor: Actor, destination: Path, how: UnpackHow) {
    this.#actor = actor;
    this.#destination = destination;
    this.#how = how;
  }

  entry(entry: TarEntry): void {
    this.#endFile();
    const path = this.#within(entry.path, entry.path);
    if (path === "") return;
    const slash = path.lastIndexOf("/");
    const parent = this.#directory(path.slice(0, Math.max(0, slash)));
    const name = path.slice(slash + 1);
    const kept = this.#makeRoom(parent, name, entry, path);
    this.#entry = entry;
    const made = kept ? undefined : this.#make(parent, name, entry, path);
    if (made !== undefined) throw failed("create", path, made);
    if (entry.type === "hardlink") return;
    if (entry.type === "directory" && this.#late.length < LATE_TIMES_MAX) {
      this.#late.push({ path, mtime: entry.mtime });
    }
    if (this.#file === undefined) this.#dress(this.#find(path), entry, path);
  }

  content(bytes: Uint8Array): void {
    if (this.#file === undefined) return;
    const buffer = HostBuffer.of(bytes);
    for (let done = 0; done < bytes.length; ) {
      const count = this.#file.pwrite(buffer.from(done), this.#at);
      if (count instanceof Errno) throw failed("write", this.#entry?.path ?? "", count);
      done += count;
      this.#at += count;
    }
  }

  /** The archive is at its end. */
  finish(): void {
    this.#endFile();
    for (const { path, mtime } of this.#late.reverse()) {
      const place = lookup(this.#actor, this.#destination, path, { noFollow: true });
      if (!(place instanceof Errno)) setTimes(this.#actor, place, mtime, mtime);
    }
  }

  abandon(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #endFile(): void {
    const { path, entry } = { path: this.#entry?.path ?? "", entry: this.#entry };
    if (this.#file === undefined || entry === undefined) return;
    this.abandon();
    this.#dress(this.#find(path), entry, path);
  }

  /** The path below the destination that an entry names. @throws {FilesError} `ARCHIVE_ESCAPES`. */
  #within(name: ByteString, entry: ByteString): ByteString {
    const path = posix.normalize(name.replace(/^\/+/, "") || ".").replace(/\/$/, "");
    if (path === ".." || path.startsWith("../") || path.includes("\0")) {
      throw new FilesError(
        "ARCHIVE_ESCAPES",
        `"${toText(entry)}" is outside of the directory it is unpacked in`,
      );
    }
    return this.#rebased(path === "." ? "" : path);
  }

  #rebased(path: ByteString): ByteString {
    const { rebase } = this.#how;
    if (rebase === undefined) return path;
    const { from, to } = rebase;
    if (from === ".") return path === "" ? to : `${to}/${path}`;
    return path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
  }

  /** The directory at `path` below the destination, made with those above it where it is missing. */
  #directory(path: ByteString): Path {
    let place = this.#destination;
    if (path === "") return place;
    const found = lookup(this.#actor, place, path);
    if (!(found instanceof Errno)) return found;
    for (const name of path.split("/")) {
      const made = namei.mkdir(this.#actor, place, name, 0o755);
      const next = lookup(this.#actor, place, name);
      if (next instanceof Errno) throw failed("mkdir", path, made ?? next);
      if (inodeAt(next).type !== S_IFDIR) throw failed("mkdir", path, ENOTDIR);
      place = next;
    }
    return place;
  }

  /**
   * Takes away what stands in an entry's way.
   * @returns whether what is there is to be kept: a directory, for a directory.
   */
  #makeRoom(parent: Path, name: ByteString, entry: TarEntry, path: ByteString): boolean {
    const existing = lookup(this.#actor, parent, name, { noFollow: true });
    if (existing === ENOENT) return false;
    if (existing instanceof Errno) throw failed("lstat", path, existing);
    const isDirectory = inodeAt(existing).type === S_IFDIR;
    const wantsDirectory = entry.type === "directory";
    if (this.#how.noOverwriteDirNonDir && isDirectory !== wantsDirectory) {
      const [what, by] = isDirectory
        ? ["directory", "non-directory"]
        : ["non-directory", "directory"];
      throw new FilesError(
        "CANNOT_OVERWRITE",
        `cannot overwrite ${what} "${toText(path)}" with ${by} "${toText(entry.path)}"`,
      );
    }
    if (isDirectory && wantsDirectory) return true;
    const removed = removeAll(this.#actor, parent, name, 0);
    if (removed !== undefined) throw failed("unlinkat", path, removed);
    return false;
  }

  #make(parent: Path, name: ByteString, entry: TarEntry, path: ByteString): Errno | undefined {
    const actor = this.#actor;
    switch (entry.type) {
      case "directory":
        return namei.mkdir(actor, parent, name, entry.mode);
      case "symlink":
        return namei.symlink(actor, entry.link, parent, name);
      case "hardlink": {
        const target = this.#within(entry.link, entry.link);
        const place = lookup(actor, this.#destination, target, { noFollow: true });
        return place instanceof Errno ? place : namei.link(actor, place, parent, name);
      }
      case "fifo":
        return namei.mknod(actor, parent, name, S_IFIFO | 0o600, 0);
      case "character":
      case "block": {
        const type = entry.type === "block" ? S_IFBLK : S_IFCHR;
        return namei.mknod(actor, parent, name, type | 0o600, makeDev(entry.major, entry.minor));
      }
      case "file": {
        const how = { flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600 };
        const file = openNow(actor, parent, name, how);
        if (file instanceof Errno) return file;
        this.#file = file;
        this.#entry = { ...entry, path };
        this.#at = 0;
        return undefined;
      }
    }
  }

  #find(path: ByteString): Path | undefined {
    const place = lookup(this.#actor, this.#destination, path, { noFollow: true });
    // A running guest may have taken it away again.
    return place instanceof Errno ? undefined : place;
  }

  /** Owner, mode, attributes and times, in the order in which none undoes another. */
  #dress(place: Path | undefined, entry: TarEntry, path: ByteString): void {
    if (place === undefined) return;
    const actor = this.#actor;
    const { uid, gid } = this.#how.owner ?? entry;
    const owned = chown(actor, place, uid, gid);
    // Files of an ordinary user's bind mount stay his: the host lets nobody give them away.
    if (owned !== undefined && owned !== EPERM) throw failed("lchown", path, owned);
    if (entry.type !== "symlink") {
      const changed = chmod(actor, place, entry.mode);
      if (changed !== undefined) throw failed("chmod", path, changed);
    }
    for (const [name, value] of entry.xattrs) {
      const set = setxattr(actor, place, name, value, 0);
      if (set !== undefined && set !== EOPNOTSUPP && set !== EPERM) {
        throw failed("lsetxattr", path, set);
      }
    }
    if (entry.type !== "directory") setTimes(actor, place, entry.mtime, entry.mtime);
  }
}

/** Removes a name with everything below it. */
function removeAll(actor: Actor, parent: Path, name: ByteString, depth: number): Errno | undefined {
  const place = lookup(actor, parent, name, { noFollow: true });
  if (place instanceof Errno) return place === ENOENT ? undefined : place;
  if (inodeAt(place).type !== S_IFDIR) return namei.unlink(actor, parent, name);
  if (depth > DEPTH_MAX) return ENOTEMPTY;
  const names = namesIn(actor, place);
  for (let next = names.next(); next.done !== true; next = names.next()) {
    const failure = removeAll(actor, place, next.value, depth + 1);
    if (failure !== undefined) return failure;
  }
  return namei.rmdir(actor, parent, name);
}
