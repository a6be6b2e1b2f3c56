/** Paths as clients of the archive calls write them, and what is found there. */
import { posix } from "node:path";
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, ELOOP, ENOENT, ENOTDIR, Errno } from "../abi/errno.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK } from "../abi/file.ts";
import type { PathStat } from "../spec.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { inodeAt, type Path } from "../vfs/mount.ts";
import { lookup, SYMLINK_MAX } from "../vfs/resolve.ts";
import { FilesError, failed } from "./errors.ts";

/** Longest path we look at, as Linux: PATH_MAX. */
const PATH_BYTES_MAX = 4096;

/** Type and special bits of Go's os.FileMode, which clients of the API are told. */
const GO_TYPES: ReadonlyMap<number, number> = new Map([
  [S_IFDIR, 2 ** 31],
  [S_IFLNK, 2 ** 27],
  [S_IFBLK, 2 ** 26],
  [S_IFIFO, 2 ** 25],
  [S_IFSOCK, 2 ** 24],
  [S_IFCHR, 2 ** 26 + 2 ** 21],
]);
const GO_SPECIAL: readonly (readonly [bit: number, go: number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
];

/** `st_mode` as Go's os.FileMode. */
export function goFileMode(mode: number): number {
  const special = GO_SPECIAL.reduce((sum, [bit, go]) => sum + ((mode & bit) === 0 ? 0 : go), 0);
  return (mode & 0o777) + (GO_TYPES.get(mode & S_IFMT) ?? 0) + special;
}

/**
 * The absolute path a client means: relative ones begin at the root, `..` is taken back by name, and a slash
 * or a dot at the end, which make a symlink be followed, stay.
 * @throws {FilesError} `PATH_INVALID`.
 */
export function absolutePath(path: ByteString): ByteString {
  if (path.length > PATH_BYTES_MAX) throw new FilesError("PATH_INVALID", "file name too long");
  if (path.includes("\0")) throw new FilesError("PATH_INVALID", "invalid argument");
  const clean = posix.normalize(`/${path}`).replace(/(?<=.)\/$/, "");
  if (/(?:^|\/)\.$/.test(path)) return clean === "/" ? "/." : `${clean}/.`;
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

/** The last name of an absolute path as Go's filepath.Base has it. */
export function baseName(path: ByteString): ByteString {
  const bare = path.replace(/\/+$/, "");
  return bare === "" ? "/" : bare.slice(bare.lastIndexOf("/") + 1);
}

/**
 * What is at `path`, a symlink itself unless a slash follows it.
 * @throws {FilesError} `PATH_NOT_FOUND`, `PATH_INVALID`, `FILES_FAILED`.
 */
export function placeAt(actor: Actor, path: ByteString, noFollow: boolean): Path {
  const found = lookup(actor, actor.fs.root, path, { noFollow });
  if (!(found instanceof Errno)) return found;
  if (found === ENOENT)
    throw new FilesError("PATH_NOT_FOUND", `${path}: no such file or directory`);
  if (found === ENOTDIR || found === ELOOP || found === EACCES) {
    throw new FilesError("PATH_INVALID", failed("lstat", path, found).message);
  }
  throw failed("lstat", path, found);
}

/** What the archive calls tell of the absolute `path`. @throws {FilesError} as {@link placeAt}. */
export function statPath(actor: Actor, path: ByteString): PathStat {
  const place = placeAt(actor, path, true);
  const stat = inodeAt(place).stat();
  if (stat instanceof Errno) throw failed("lstat", path, stat);
  return {
    name: baseName(path),
    size: stat.size,
    mode: goFileMode(stat.mode),
    mtime: rfc3339(stat.mtimeNs),
    linkTarget: (stat.mode & S_IFMT) === S_IFLNK ? followed(actor, path) : "",
  };
}

/**
 * Where a symlink leads in the end: an absolute path without symlinks, as far as things exist.
 * @throws {FilesError} `PATH_INVALID` for a loop.
 */
function followed(actor: Actor, path: ByteString): ByteString {
  let done = "";
  let rest = path.split("/");
  for (let links = 0; rest.length > 0; ) {
    const [name = "", ...after] = rest;
    rest = after;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      done = done.slice(0, Math.max(0, done.lastIndexOf("/")));
      continue;
    }
    const next = `${done}/${name}`;
    const target = linkText(actor, next);
    if (target === undefined) {
      done = next;
      continue;
    }
    if (++links > SYMLINK_MAX) throw new FilesError("PATH_INVALID", `too many links in ${path}`);
    if (target.startsWith("/")) done = "";
    rest = [...target.split("/"), ...rest];
  }
  return done === "" ? "/" : done;
}

function linkText(actor: Actor, path: ByteString): ByteString | undefined {
  const found = lookup(actor, actor.fs.root, path, { noFollow: true });
  if (found instanceof Errno || inodeAt(found).type !== S_IFLNK) return undefined;
  const target = inodeAt(found).readlink(actor);
  return target instanceof Errno ? undefined : target;
}

/** A time with nanoseconds, as Go writes it. */
export function rfc3339(ns: bigint): string {
  const fraction = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = Number((ns - fraction) / 1_000_000_000n);
  const text = new Date(seconds * 1000);
  const whole = Number.isNaN(text.getTime()) ? "1970-01-01T00:00:00" : text.toISOString();
  const digits = `${fraction}`.padStart(9, "0").replace(/0+$/, "");
  return `${whole.slice(0, 19)}${digits === "" ? "" : `.${digits}`}Z`;
}
